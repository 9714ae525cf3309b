import { intAttribute } from '../../onnx/attribute.ts'
import { smallElements, tensorContent } from '../../onnx/content.ts'
import type { Node } from '../../onnx/proto.ts'
import { type Kit, transpose } from './kit.ts'
import { shiftedNibbles } from './stored-integers.ts'

/** The opset that has int4, and scales for blocks. */
export const blockOpset = 21

/**
 * com.microsoft.MatMulNBits with weights of 4 bits around 8: a product with int4 weights that DequantizeLinear unfolds
 * by blocks, the same numbers in the same order.
 */
export function decomposeMatMulNBits(node: Node, kit: Kit): boolean {
  const [a = '', b = '', scales = '', zeros = '', groups = '', bias = ''] = node.input
  const [k, n, bits, block] = ['K', 'N', 'bits', 'block_size'].map((name) => intAttribute(node, name))
  const weights = kit.find(b)
  const content = weights && tensorContent(kit.model, weights)
  const isMiddle = zeros === '' || bytesOf(kit, zeros)?.every((byte) => byte === 0x88) === true
  if (!k || !n || !block || (bits ?? 4) !== 4 || k % block !== 0 || !content || !isMiddle || groups !== '') return false
  if (kit.opset < blockOpset) return false
  const integers = kit.stored({ dtype: 'int4', dims: [n, k] }, shiftedNibbles(content))
  const shape = kit.constant('int64', [2], BigInt64Array.of(BigInt(n), BigInt(k / block)))
  const factors = kit.op('Reshape', [scales, shape])
  const attributes = [kit.int('axis', 1), kit.int('block_size', block)]
  const unfolded = kit.op('DequantizeLinear', [integers, factors], { attributes })
  const product = kit.op('MatMul', [a, transpose(kit, unfolded, [1, 0])], {
    output: bias === '' ? node.output[0] : undefined,
  })
  if (bias !== '') kit.op('Add', [product, bias], { output: node.output[0] })
  return true
}

function bytesOf(kit: Kit, name: string): readonly number[] | undefined {
  const tensor = kit.find(name)
  const elements = tensor && smallElements(tensor)
  return elements instanceof Uint8Array ? [...elements] : undefined
}
