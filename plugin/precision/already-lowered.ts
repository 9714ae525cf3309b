import { dtypeOfCode } from '../../runtime/dtype.ts'
import { type EditableModel, scopesOf } from '../onnx/graph.ts'
import { quantizedNode } from '../onnx/quantized-nodes.ts'
import { quantizedText } from './as-it-is.ts'

const lowFloats: ReadonlySet<string | undefined> = new Set(['float16', 'bfloat16'])

/** A note for the user when a model is quantized or has 16-bit weights already; undefined when it can be lowered. */
export function alreadyLowered(model: EditableModel): string | undefined {
  const { proto } = model
  const graphs = scopesOf(model).map(({ graph }) => graph)
  const nodes = [...graphs.flatMap(({ node }) => node), ...proto.functions.flatMap(({ node }) => node)]
  const quantized = quantizedNode(nodes)
  if (quantized) return quantizedText(quantized.opType)
  const low = graphs
    .flatMap(({ initializer }) => initializer)
    .map(({ dataType }) => dtypeOfCode(dataType))
    .find((stored) => lowFloats.has(stored))
  if (low) return `already has ${low} weights, so it stays as it is`
  return undefined
}
