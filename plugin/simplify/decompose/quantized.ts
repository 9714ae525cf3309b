import { dtypeOfCode } from '../../../runtime/dtype.ts'
import { intAttribute } from '../../onnx/attribute.ts'
import { smallElements, tensorContent } from '../../onnx/content.ts'
import type { Message, Node } from '../../onnx/proto.ts'
import { tensorType } from '../../onnx/tensor.ts'
import { cast, type Kit, scalarLike } from './kit.ts'
import { dequantized, shifted } from './stored-integers.ts'

// Models that are quantized already, in a form that TensorRT refuses: it has int8 alone, without zero points. What it
// cannot express is computed in fp32, on the same integers: the results stay, the smaller weights do not.

/** QuantizeLinear to uint8, or to int8 with a zero point. */
export function decomposeQuantize(node: Node, kit: Kit): boolean {
  const [x = '', scale = '', point = ''] = node.input
  const [y = ''] = node.output
  const zero = zeroPoint(kit, point)
  if (!zero || zero.isSymmetric || kit.type(x) !== 'float32' || zero.values.length !== 1) return false
  if (kit.dims(scale)?.length !== 0 && kit.dims(scale)?.[0] !== 1) return false
  const value = zero.values[0]!
  if (zero.dtype === 'uint8' && value === 128) {
    // 128 is the middle of uint8, as 0 is of int8: the same integers, less 128.
    const moved = kit.op('QuantizeLinear', [x, scale, kit.constant('int8', [], Int8Array.of(0))])
    kit.symmetric.set(y, moved)
    const sum = kit.op('Add', [cast(kit, moved, 'float32'), scalarLike(kit, x, value)])
    cast(kit, sum, 'uint8', y)
    return true
  }
  const least = zero.dtype === 'uint8' ? 0 : -128
  const whole = kit.op('Round', [kit.op('Div', [x, scale])])
  const centred = clip(kit, whole, x, [least - value, least + 255 - value])
  kit.integers.set(y, centred)
  cast(kit, kit.op('Add', [centred, scalarLike(kit, x, value)]), zero.dtype, y)
  return true
}

/** DequantizeLinear of what is not int8 without a zero point: of constants and of what a QuantizeLinear before made. */
export function decomposeDequantize(node: Node, kit: Kit): boolean {
  const [x = '', scale = '', point = ''] = node.input
  const [y = ''] = node.output
  if (intAttribute(node, 'block_size')) return false
  const moved = kit.symmetric.get(x)
  if (moved !== undefined) {
    kit.op('DequantizeLinear', [moved, scale, kit.constant('int8', [], Int8Array.of(0))], { output: y })
    return true
  }
  const centred = kit.integers.get(x)
  if (centred !== undefined) {
    kit.op('Mul', [centred, scale], { output: y })
    return true
  }
  return decomposeStored(node, kit, { x, scale, point, y })
}

function decomposeStored(
  node: Node,
  kit: Kit,
  { x, scale, point, y }: Record<'x' | 'scale' | 'point' | 'y', string>,
): boolean {
  const tensor = kit.find(x)
  const scales = floatsOf(kit, scale)
  const type = tensor && tensorType(tensor)
  if (!tensor || !type || !scales || (type.dtype !== 'uint8' && type.dtype !== 'int8' && type.dtype !== 'int32'))
    return false
  const zero = zeroPoint(kit, point, type.dtype)
  const content = tensorContent(kit.model, tensor)
  if (!zero || !content || (type.dtype === 'int8' && zero.isSymmetric)) return false
  if (type.dtype === 'uint8' && zero.values.every((value) => value === 128)) {
    const stored = kit.stored({ dtype: 'int8', dims: type.dims }, shifted(content))
    const zeros = kit.constant('int8', kit.dims(scale) as number[], new Int8Array(scales.length))
    kit.op('DequantizeLinear', [stored, scale, zeros], { attributes: node.attribute, output: y })
    return true
  }
  const axis = intAttribute(node, 'axis') ?? 1
  const floats = dequantized(content, type, {
    scales,
    zeros: zero.values,
    axis: axis < 0 ? axis + type.dims.length : axis,
  })
  kit.stored({ dtype: 'float32', dims: type.dims }, floats, y)
  return true
}

/** DynamicQuantizeLinear: its integers stay floats where nothing else reads them. */
export function decomposeDynamicQuantize({ input, output }: Node, kit: Kit): boolean {
  const [x = ''] = input
  const [y = '', scale = '', point = ''] = output
  const bound = (reduction: string, either: string) =>
    kit.op(either, [kit.op(reduction, [x], { attributes: [kit.int('keepdims', 0)] }), scalarLike(kit, x, 0)])
  const [least, most] = [bound('ReduceMin', 'Min'), bound('ReduceMax', 'Max')]
  const step = kit.op('Div', [kit.op('Sub', [most, least]), scalarLike(kit, x, 255)])
  const isFlat = kit.op('Equal', [step, scalarLike(kit, x, 0)])
  kit.op('Where', [isFlat, scalarLike(kit, x, 1), step], { output: scale })
  const place = kit.op('Round', [kit.op('Div', [kit.op('Neg', [least]), scale])])
  const zero = clip(kit, place, x, [0, 255])
  const whole = kit.op('Add', [kit.op('Round', [kit.op('Div', [x, scale])]), zero])
  const level = clip(kit, whole, x, [0, 255])
  kit.plain.set(y, level).set(point, zero)
  cast(kit, level, 'uint8', y)
  cast(kit, zero, 'uint8', point)
  return true
}

/** ConvInteger and MatMulInteger, with constant weights. Sums below 2^24 are exact in fp32, larger ones to 24 bits. */
export function decomposeIntegerProduct(node: Node, kit: Kit): boolean {
  const [x = '', w = '', xPoint = '', wPoint = ''] = node.input
  const weights = kit.find(w)
  const type = weights && tensorType(weights)
  const zero = zeroPoint(kit, wPoint, type?.dtype === 'int8' ? 'int8' : 'uint8')
  const content = weights && tensorContent(kit.model, weights)
  if (!type || !zero || !content || (type.dtype !== 'int8' && type.dtype !== 'uint8')) return false
  const isConvolution = node.opType === 'ConvInteger'
  if (!isConvolution && zero.values.length > 1 && type.dims.length !== 2) return false
  const axis = isConvolution ? 0 : 1
  const floats = dequantized(content, type, { scales: [1], zeros: zero.values, axis })
  const product = kit.stored({ dtype: 'float32', dims: type.dims }, floats)
  const plain = (value: string) => kit.plain.get(value) ?? cast(kit, value, 'float32')
  const centred = xPoint === '' ? plain(x) : kit.op('Sub', [plain(x), plain(xPoint)])
  const sum = kit.op(isConvolution ? 'Conv' : 'MatMul', [centred, product], { attributes: node.attribute })
  kit.plain.set(node.output[0] ?? '', sum)
  cast(kit, sum, 'int32', node.output[0])
  return true
}

/** A Cast of integers that are floats already. */
export function skipCast(node: Node, kit: Kit): boolean {
  const plain = kit.plain.get(node.input[0] ?? '')
  if (plain === undefined || dtypeOfCode(intAttribute(node, 'to') ?? 0) !== 'float32') return false
  kit.op('Identity', [plain], { output: node.output[0] })
  return true
}

interface ZeroPoint {
  readonly dtype: 'uint8' | 'int8' | 'int32'
  readonly values: readonly number[]
  /** Whether TensorRT takes it: int8 without an offset. */
  readonly isSymmetric: boolean
}

/** Undefined when it is not constant, or of another dtype. */
function zeroPoint(kit: Kit, name: string, otherwise: ZeroPoint['dtype'] = 'uint8'): ZeroPoint | undefined {
  if (name === '') return { dtype: otherwise, values: [0], isSymmetric: otherwise === 'int8' }
  const tensor = kit.find(name)
  const dtype = dtypeOfCode(tensor?.dataType ?? 0)
  const values = numbersOf(tensor)
  if (!values || (dtype !== 'uint8' && dtype !== 'int8' && dtype !== 'int32')) return undefined
  return { dtype, values, isSymmetric: dtype === 'int8' && values.every((value) => value === 0) }
}

function floatsOf(kit: Kit, name: string): number[] | undefined {
  const tensor = kit.find(name)
  return dtypeOfCode(tensor?.dataType ?? 0) === 'float32' ? numbersOf(tensor) : undefined
}

function numbersOf(tensor: Message<'TensorProto'> | undefined): number[] | undefined {
  const elements = tensor && smallElements(tensor)
  return elements && Array.from<number | bigint, number>(elements as ArrayLike<number | bigint>, Number)
}

function clip(kit: Kit, value: string, like: string, [least, most]: readonly [number, number]): string {
  if (kit.opset < 11)
    return kit.op('Min', [kit.op('Max', [value, scalarLike(kit, like, least)]), scalarLike(kit, like, most)])
  return kit.op('Clip', [value, scalarLike(kit, like, least), scalarLike(kit, like, most)])
}
