import { dtypeOfCode } from '../../../runtime/dtype.ts'
import { intAttribute } from '../../onnx/attribute.ts'
import { tensorContent } from '../../onnx/content.ts'
import type { Node } from '../../onnx/proto.ts'
import { tensorType } from '../../onnx/tensor.ts'
import { cast, clip, type Kit, scalarLike } from './kit.ts'
import { alongAxis, dequantized, shifted } from './stored-integers.ts'

// Models that are quantized already, in a form that TensorRT refuses: it has int8 alone, without zero points. What it
// cannot express is computed in fp32, on the same integers: the results stay, the smaller weights do not.

/** QuantizeLinear to uint8, or to int8 with a zero point. */
export function decomposeQuantize(node: Node, kit: Kit): boolean {
  const [x = '', scale = '', point = ''] = node.input
  const [y = ''] = node.output
  const zero = zeroPoint(kit, point)
  if (!zero || zero.isSymmetric || zero.dtype === 'int32' || kit.type(x) !== 'float32' || zero.values.length !== 1)
    return false
  if (!isScalar(kit, scale)) return false
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
  kit.integers.set(y, { name: centred, zero: value, dtype: zero.dtype })
  cast(kit, kit.op('Add', [centred, scalarLike(kit, x, value)]), zero.dtype, y)
  return true
}

/** DequantizeLinear of what is not int8 without a zero point: constants, what a QuantizeLinear made, other integers. */
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
    kit.op('Mul', [centred.name, scale], { output: y })
    return true
  }
  const names = { x, scale, point, y }
  return kit.find(x) ? decomposeStored(node, kit, names) : decomposeOther(kit, names)
}

type Names = Record<'x' | 'scale' | 'point' | 'y', string>

/** Integers that the model is given, or that an operator without a pattern made: one scale for all. */
function decomposeOther(kit: Kit, { x, scale, point, y }: Names): boolean {
  const dtype = kit.type(x)
  const isKnown = dtype === 'uint8' || dtype === 'int8' || dtype === 'int32'
  const zero = isKnown ? zeroPoint(kit, point, dtype) : undefined
  if (!zero || zero.isSymmetric || zero.values.length !== 1 || !isScalar(kit, scale)) return false
  const floats = cast(kit, x, 'float32')
  const [value = 0] = zero.values
  const centred = value === 0 ? floats : kit.op('Sub', [floats, scalarLike(kit, scale, value)])
  kit.op('Mul', [centred, scale], { output: y })
  return true
}

function decomposeStored(node: Node, kit: Kit, { x, scale, point, y }: Names): boolean {
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
  const place = alongAxis(type.dims, axis < 0 ? axis + type.dims.length : axis)
  const floats = dequantized(content, type.dtype, { scales, zeros: zero.values, place })
  kit.stored({ dtype: 'float32', dims: type.dims }, floats, y)
  return true
}

/** A constant zero point, or one for each channel. */
export interface ZeroPoint {
  readonly dtype: 'uint8' | 'int8' | 'int32'
  readonly values: readonly number[]
  /** Whether TensorRT takes it: int8 without an offset. */
  readonly isSymmetric: boolean
}

/** Undefined when it is not constant, or of another dtype. */
export function zeroPoint(kit: Kit, name: string, otherwise: ZeroPoint['dtype'] = 'uint8'): ZeroPoint | undefined {
  if (name === '') return { dtype: otherwise, values: [0], isSymmetric: otherwise === 'int8' }
  const dtype = dtypeOfCode(kit.find(name)?.dataType ?? 0)
  const values = kit.numbers(name)
  if (!values || (dtype !== 'uint8' && dtype !== 'int8' && dtype !== 'int32')) return undefined
  return { dtype, values, isSymmetric: dtype === 'int8' && values.every((value) => value === 0) }
}

/** The numbers of a float32 constant. */
export function floatsOf(kit: Kit, name: string): readonly number[] | undefined {
  return dtypeOfCode(kit.find(name)?.dataType ?? 0) === 'float32' ? kit.numbers(name) : undefined
}

/** Whether a value is known to be one number. */
export function isScalar(kit: Kit, name: string): boolean {
  const dims = kit.dims(name)
  return dims?.length === 0 || (dims?.length === 1 && dims[0] === 1)
}
