import { tensorContent } from '../../onnx/content.ts'
import { newNode } from '../../onnx/edit.ts'
import type { Node } from '../../onnx/proto.ts'
import { tensorType } from '../../onnx/tensor.ts'
import { type Kit, transpose } from './kit.ts'
import { floatsOf, zeroPoint } from './quantized.ts'
import { dequantized } from './stored-integers.ts'

/**
 * com.microsoft.DynamicQuantizeLSTM: an LSTM with weights of floats. ONNX Runtime also rounds what it multiplies them
 * with to 8 bits, which no compiler gains from; so the numbers are nearer to those of the model before it was
 * quantized.
 */
export function decomposeDynamicLstm(node: Node, kit: Kit): boolean {
  const [x = '', w = '', r = '', b = '', lengths = '', h = '', c = '', p = '', ...quantized] = node.input
  const [wScale = '', wPoint = '', rScale = '', rPoint = ''] = quantized
  const weights = unfolded(kit, w, wScale, wPoint)
  const recurrent = unfolded(kit, r, rScale, rPoint)
  if (weights === undefined || recurrent === undefined) return false
  const inputs = [x, weights, recurrent, b, lengths, h, c, p]
  while (inputs.at(-1) === '') inputs.pop()
  kit.add(newNode('LSTM', inputs, [...node.output], { name: node.name, attribute: node.attribute }))
  return true
}

/** Weights of dims [directions, inputs, 4 * hidden], with a scale for each direction or for each of its columns. */
function unfolded(kit: Kit, name: string, scale: string, point: string): string | undefined {
  const tensor = kit.find(name)
  const type = tensor && tensorType(tensor)
  const content = tensor && tensorContent(kit.model, tensor)
  const scales = floatsOf(kit, scale)
  const zero = zeroPoint(kit, point, type?.dtype === 'int8' ? 'int8' : 'uint8')
  if (!type || !content || !scales || !zero || (type.dtype !== 'int8' && type.dtype !== 'uint8')) return undefined
  const [directions = 1, rows = 1, columns = 1] = type.dims
  const each = (list: readonly number[]) =>
    Array.from({ length: directions * columns }, (_, at) => {
      if (list.length === directions) return list[Math.floor(at / columns)]!
      return list[list.length === 1 ? 0 : at]!
    })
  const place = (at: number) => Math.floor(at / (rows * columns)) * columns + (at % columns)
  const floats = dequantized(content, type.dtype, { scales: each(scales), zeros: each(zero.values), place })
  return transpose(kit, kit.stored({ dtype: 'float32', dims: type.dims }, floats), [0, 2, 1])
}
