import { attributeOf, floatAttribute, intAttribute, newAttribute } from '../../onnx/attribute.ts'
import { newNode } from '../../onnx/edit.ts'
import type { Node } from '../../onnx/proto.ts'
import { tensorType } from '../../onnx/tensor.ts'
import type { Kit } from './kit.ts'
import { floatsOf, isScalar, zeroPoint } from './quantized.ts'

// Operators from integers to integers, as ONNX Runtime's quantize_static writes them with QuantFormat.QOperator: the
// floating-point operator between DequantizeLinear and QuantizeLinear. Sources: the operator schemas of ONNX 1.23 and
// the contrib operators of ONNX Runtime 1.30. Where ONNX Runtime scales an integer sum at once, a result between two
// integers may become the other one.

/** Integers with their scale and zero point. */
type Quantized = readonly [value: string, scale: string, point: string]

/** Scales for each channel exist since this opset. */
export const channelOpset = 13

/** QLinearConv. */
export function decomposeQuantizedConv(node: Node, kit: Kit): boolean {
  const [x = '', xScale = '', xPoint = '', w = '', wScale = '', wPoint = '', yScale = '', yPoint = '', b = ''] =
    node.input
  if (isChannelsLast(node) || !isScalar(kit, xScale) || !takesChannels(kit, wScale)) return false
  const bias = b === '' ? [] : [unfoldedBias(kit, b, [xScale, wScale])]
  if (bias.includes(undefined)) return false
  const inputs = [unfolded(kit, [x, xScale, xPoint]), unfolded(kit, [w, wScale, wPoint], 0), ...(bias as string[])]
  const attributes = plainAttributes(node)
  return quantized(kit, kit.op('Conv', inputs, { attributes }), [node.output[0] ?? '', yScale, yPoint])
}

/** QLinearMatMul. */
export function decomposeQuantizedMatMul(node: Node, kit: Kit): boolean {
  const [a = '', aScale = '', aPoint = '', b = '', bScale = '', bPoint = '', yScale = '', yPoint = ''] = node.input
  const axis = columnsOf(kit, b, bScale)
  if (!isScalar(kit, aScale) || axis === undefined) return false
  const sides = [unfolded(kit, [a, aScale, aPoint]), unfolded(kit, [b, bScale, bPoint], axis)]
  return quantized(kit, kit.op('MatMul', sides), [node.output[0] ?? '', yScale, yPoint])
}

/** QGemm: without a scale of its result, that is a float. */
export function decomposeQuantizedGemm(node: Node, kit: Kit): boolean {
  const [a = '', aScale = '', aPoint = '', b = '', bScale = '', bPoint = '', c = '', yScale = '', yPoint = ''] =
    node.input
  if (!isScalar(kit, aScale) || !takesChannels(kit, bScale)) return false
  const axis = intAttribute(node, 'transB') ? 0 : 1
  const alpha = floatAttribute(node, 'alpha') ?? 1
  const bias = c === '' ? [] : [unfoldedBias(kit, c, [aScale, bScale], alpha)]
  if (bias.includes(undefined)) return false
  const inputs = [unfolded(kit, [a, aScale, aPoint]), unfolded(kit, [b, bScale, bPoint], axis), ...(bias as string[])]
  const output = yScale === '' ? node.output[0] : undefined
  const product = kit.op('Gemm', inputs, { attributes: plainAttributes(node), output })
  return yScale === '' || quantized(kit, product, [node.output[0] ?? '', yScale, yPoint])
}

/** QLinearAdd and QLinearMul. */
export function decomposeQuantizedBinary(node: Node, kit: Kit): boolean {
  const [a = '', aScale = '', aPoint = '', b = '', bScale = '', bPoint = '', yScale = '', yPoint = ''] = node.input
  if (!isScalar(kit, aScale) || !isScalar(kit, bScale)) return false
  const sides = [unfolded(kit, [a, aScale, aPoint]), unfolded(kit, [b, bScale, bPoint])]
  return quantized(kit, kit.op(plainName(node), sides), [node.output[0] ?? '', yScale, yPoint])
}

/** QLinearSigmoid, QLinearLeakyRelu, QLinearSoftmax, QLinearAveragePool and QLinearGlobalAveragePool. */
export function decomposeQuantizedUnary(node: Node, kit: Kit): boolean {
  const [x = '', xScale = '', xPoint = '', yScale = '', yPoint = ''] = node.input
  const [y = ''] = node.output
  if (isChannelsLast(node) || !isScalar(kit, xScale)) return false
  const isSoftmax = node.opType === 'QLinearSoftmax'
  const axis = intAttribute(node, 'axis') ?? -1
  const isLast = axis === -1 || axis + 1 === kit.dims(x)?.length
  // Before opset 13, Softmax took all dims from its axis on as one.
  const isSame = (intAttribute(node, 'opset') ?? 13) >= 13 === kit.opset >= 13
  if (isSoftmax && !isLast && !isSame) return false
  const lastAxis = isLast && kit.opset < 13 ? (kit.dims(x)?.length ?? 0) - 1 : axis
  if (lastAxis < -1) return false
  const attributes = isSoftmax ? [newAttribute('axis', { int: lastAxis })] : plainAttributes(node)
  return quantized(kit, kit.op(plainName(node), [unfolded(kit, [x, xScale, xPoint])], { attributes }), [
    y,
    yScale,
    yPoint,
  ])
}

/** QLinearConcat. */
export function decomposeQuantizedConcat(node: Node, kit: Kit): boolean {
  const [yScale = '', yPoint = '', ...rest] = node.input
  const parts = Array.from({ length: rest.length / 3 }, (_, index) => rest.slice(3 * index, 3 * index + 3))
  if (!parts.every(([, scale = '']) => isScalar(kit, scale))) return false
  const values = parts.map(([value = '', scale = '', point = '']) => unfolded(kit, [value, scale, point]))
  const joined = kit.op('Concat', values, { attributes: plainAttributes(node) })
  return quantized(kit, joined, [node.output[0] ?? '', yScale, yPoint])
}

/** QLinearWhere. */
export function decomposeQuantizedWhere(node: Node, kit: Kit): boolean {
  const [test = '', x = '', xScale = '', xPoint = '', y = '', yScale = '', yPoint = '', scale = '', point = ''] =
    node.input
  if (!isScalar(kit, xScale) || !isScalar(kit, yScale)) return false
  const sides = [unfolded(kit, [x, xScale, xPoint]), unfolded(kit, [y, yScale, yPoint])]
  return quantized(kit, kit.op('Where', [test, ...sides]), [node.output[0] ?? '', scale, point])
}

function unfolded(kit: Kit, [value, scale, point]: Quantized, axis?: number): string {
  const output = kit.makeName('dequantized')
  const attribute = axis !== undefined && kit.opset >= channelOpset ? [kit.int('axis', axis)] : []
  const input = [value, scale, point].filter(Boolean)
  kit.add(newNode('DequantizeLinear', input, [output], { name: output, attribute }))
  return output
}

function quantized(kit: Kit, value: string, [output, scale, point]: Quantized): true {
  kit.made.set(value, 'float32').set(output, zeroPoint(kit, point)?.dtype ?? 'uint8')
  kit.add(newNode('QuantizeLinear', [value, scale, point].filter(Boolean), [output], { name: output }))
  return true
}

/** A bias of int32 in multiples of the scales of a product; undefined when one of them is not constant. */
function unfoldedBias(
  kit: Kit,
  bias: string,
  [left, right]: readonly [string, string],
  alpha: number = 1,
): string | undefined {
  const tensor = kit.find(bias)
  const dims = tensor && tensorType(tensor)?.dims
  const values = kit.numbers(bias)
  const [scale] = floatsOf(kit, left) ?? []
  const scales = floatsOf(kit, right)
  if (!dims || !values || scale === undefined || !scales) return undefined
  const factors = scales.map((factor) => Math.fround(Math.fround(scale * factor) * alpha))
  const floats = Float32Array.from(values, (value, at) => Math.fround(value) * factors[at % factors.length]!)
  return kit.constant('float32', dims, floats)
}

function takesChannels(kit: Kit, scale: string): boolean {
  return isScalar(kit, scale) || (kit.opset >= channelOpset && kit.dims(scale)?.length === 1)
}

/** The axis of the columns, which may have a scale each; undefined when that cannot be expressed. */
function columnsOf(kit: Kit, matrix: string, scale: string): number | undefined {
  const rank = kit.dims(matrix)?.length
  if (isScalar(kit, scale)) return 0
  return takesChannels(kit, scale) && rank !== undefined ? rank - 1 : undefined
}

function isChannelsLast(node: Node): boolean {
  return intAttribute(node, 'channels_last') === 1
}

/** 'Add' of QLinearAdd. */
function plainName({ opType }: Node): string {
  return opType.slice('QLinear'.length)
}

/** The attributes that the operator of floats has, too. */
function plainAttributes(node: Node): Node['attribute'] {
  return ownAttributes.reduce((left, name) => left.filter((one) => one !== attributeOf(node, name)), node.attribute)
}

const ownAttributes = ['channels_last', 'opset']
