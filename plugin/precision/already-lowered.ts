import { dtypeOfCode } from '../../runtime/dtype.ts'
import { type EditableModel, scopesOf } from '../onnx/graph.ts'

const lowFloats: ReadonlySet<string | undefined> = new Set(['float16', 'bfloat16'])

/** Why a model is left as it is, in words for the user; undefined when its floats can be lowered. */
export function untouched(model: EditableModel): string | undefined {
  const { proto } = model
  const graphs = scopesOf(model).map(({ graph }) => graph)
  const nodes = [...graphs.flatMap(({ node }) => node), ...proto.functions.flatMap(({ node }) => node)]
  const quantized = nodes.find(({ opType }) =>
    /^(?:Dynamic)?Quantize|^Dequantize|^QLinear|^QGemm|Integer(?:ToFloat|Bias)?$|NBits$/.test(opType),
  )
  if (quantized) return `is quantized already (${quantized.opType}): left as it is`
  const low = graphs
    .flatMap(({ initializer }) => initializer)
    .map(({ dataType }) => dtypeOfCode(dataType))
    .find((stored) => lowFloats.has(stored))
  if (low) return `has ${low} weights already: left as it is`
  return undefined
}
