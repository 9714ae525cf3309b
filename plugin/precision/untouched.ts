import { type EditableModel, scopesOf } from '../onnx/graph.ts'
import type { Model } from '../onnx/model.ts'
import { dtypeOfCode } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { HalfDType } from './half.ts'

// Cast takes a number for its dtype since opset 6, and bfloat16 since 13.
const minOpset = { float16: 6, bfloat16: 13 } as const satisfies Record<HalfDType, number>

const lowFloats: ReadonlySet<string | undefined> = new Set(['float16', 'bfloat16'])

/** Why a model is left as it is, in words for the user; undefined when its floats can be lowered. */
export function untouched(model: EditableModel): string | undefined {
  const { proto } = model
  const graphs = scopesOf(model).map(({ graph }) => graph)
  const nodes = [...graphs.flatMap(({ node }) => node), ...proto.functions.flatMap(({ node }) => node)]
  const quantized = nodes.find(({ opType }) => /^(?:Dynamic)?Quantize|^Dequantize|^QLinear|^QGemm|Integer(?:ToFloat|Bias)?$|NBits$/.test(opType))
  if (quantized) return `is quantized already (${quantized.opType}): left as it is`
  const low = graphs.flatMap(({ initializer }) => initializer).map(({ dataType }) => dtypeOfCode(dataType)).find((stored) => lowFloats.has(stored))
  if (low) return `has ${low} weights already: left as it is`
  return undefined
}

/** Throws PRECISION_UNSUPPORTED for a model that is too old for a dtype. */
export function requireOpset({ file, opsets }: Model, dtype: HalfDType): void {
  const opset = opsets[''] ?? Infinity
  if (opset >= minOpset[dtype]) return
  throw new OnnxEngineError('PRECISION_UNSUPPORTED', `${file}: ${dtype}`, {
    expected: `opset ${minOpset[dtype]} or newer`,
    received: `opset ${opset}`,
    hint: 'Export the model with a newer opset, or use another precision',
  })
}
