import type { Node } from './proto.ts'

// Operators of ONNX and of ONNX Runtime's domain com.microsoft.
const rounding = /^(?:Dynamic)?Quantize|^QLinear|^QGemm|Integer(?:ToFloat|Bias)?$/
const storing = /^Dequantize|NBits$/

/** The first node that rounds activations to integers, so that the last bit of a sum may move a result by a step. */
export function roundingNode(nodes: readonly Node[]): Node | undefined {
  return nodes.find(({ opType }) => rounding.test(opType))
}

/** The first node of a model that is quantized already: in its weights, or in its activations, too. */
export function quantizedNode(nodes: readonly Node[]): Node | undefined {
  return nodes.find(({ opType }) => rounding.test(opType) || storing.test(opType))
}
