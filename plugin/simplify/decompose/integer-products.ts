import { dtypeOfCode } from '../../../runtime/dtype.ts'
import { intAttribute } from '../../onnx/attribute.ts'
import { tensorContent } from '../../onnx/content.ts'
import { newNode } from '../../onnx/edit.ts'
import type { Node } from '../../onnx/proto.ts'
import { tensorType } from '../../onnx/tensor.ts'
import { cast, clip, type Kit, scalarLike } from './kit.ts'
import { zeroPoint } from './quantized.ts'
import { alongAxis, dequantized } from './stored-integers.ts'

// Products of integers, computed in fp32: sums below 2^24 are exact, larger ones to 24 bits.

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

/** ConvInteger and MatMulInteger, with constant weights. */
export function decomposeIntegerProduct(node: Node, kit: Kit): boolean {
  const [x = '', w = '', xPoint = '', wPoint = ''] = node.input
  const sum = integerProduct(node, kit, { x, w, xPoint, wPoint })
  if (sum === undefined) return false
  kit.plain.set(node.output[0] ?? '', sum)
  cast(kit, sum, 'int32', node.output[0])
  return true
}

/** com.microsoft.MatMulIntegerToFloat: a product of integers, times its scales. */
export function decomposeScaledProduct(node: Node, kit: Kit): boolean {
  const [x = '', w = '', xScale = '', wScale = '', xPoint = '', wPoint = '', bias = ''] = node.input
  const sum = integerProduct(node, kit, { x, w, xPoint, wPoint })
  return sum !== undefined && scaled(kit, sum, { scales: [xScale, wScale], bias, output: node.output[0] })
}

/** com.microsoft.DynamicQuantizeMatMul: its first matrix becomes integers when it runs. */
export function decomposeDynamicProduct(node: Node, kit: Kit): boolean {
  const [x = '', w = '', wScale = '', wPoint = '', bias = ''] = node.input
  const [integers, xScale, xPoint] = [kit.makeName('integers'), kit.makeName('scale'), kit.makeName('zero_point')]
  decomposeDynamicQuantize(newNode('DynamicQuantizeLinear', [x], [integers, xScale, xPoint]), kit)
  const sum = integerProduct(node, kit, { x: integers, w, xPoint, wPoint })
  return sum !== undefined && scaled(kit, sum, { scales: [xScale, wScale], bias, output: node.output[0] })
}

/** The factors of a product of integers, and what is added to it. */
interface Scaled {
  readonly scales: readonly [string, string]
  readonly bias: string
  readonly output: string | undefined
}

function scaled(kit: Kit, sum: string, { scales, bias, output }: Scaled): true {
  const product = kit.op('Mul', [sum, kit.op('Mul', scales)], { output: bias === '' ? output : undefined })
  if (bias !== '') kit.op('Add', [product, bias], { output })
  return true
}

/** Adds the product in fp32 and returns its name; undefined when the weights are not constant. */
function integerProduct(
  node: Node,
  kit: Kit,
  { x, w, xPoint, wPoint }: Record<'x' | 'w' | 'xPoint' | 'wPoint', string>,
): string | undefined {
  const weights = kit.find(w)
  const type = weights && tensorType(weights)
  const zero = zeroPoint(kit, wPoint, type?.dtype === 'int8' ? 'int8' : 'uint8')
  const content = weights && tensorContent(kit.model, weights)
  if (!type || !zero || !content || (type.dtype !== 'int8' && type.dtype !== 'uint8')) return undefined
  const isConvolution = node.opType === 'ConvInteger'
  if (!isConvolution && zero.values.length > 1 && type.dims.length !== 2) return undefined
  const place = alongAxis(type.dims, isConvolution ? 0 : 1)
  const floats = dequantized(content, type.dtype, { scales: [1], zeros: zero.values, place })
  const product = kit.stored({ dtype: 'float32', dims: type.dims }, floats)
  const plain = (value: string) => kit.plain.get(value) ?? cast(kit, value, 'float32')
  const centred = xPoint === '' ? plain(x) : kit.op('Sub', [plain(x), plain(xPoint)])
  const attributes = isConvolution ? node.attribute : []
  return kit.op(isConvolution ? 'Conv' : 'MatMul', [centred, product], { attributes })
}

/** A Cast of integers that are floats already. */
export function skipCast(node: Node, kit: Kit): boolean {
  const plain = kit.plain.get(node.input[0] ?? '')
  if (plain === undefined || dtypeOfCode(intAttribute(node, 'to') ?? 0) !== 'float32') return false
  kit.op('Identity', [plain], { output: node.output[0] })
  return true
}
