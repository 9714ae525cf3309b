import { calibrate } from '../../measure/calibrate.ts'
import { sortNodes } from '../../onnx/edit.ts'
import { type EditableModel, scopesOf, nodeName, type Scope, indexScope } from '../../onnx/graph.ts'
import { inferTypes } from '../../onnx/types.ts'
import { hideInitializers } from '../../onnx/upgrade.ts'
import { modelSamples } from '../../samples/find.ts'
import { alreadyLowered } from '../already-lowered.ts'
import type { PassRequest, Lowered } from '../pass.ts'
import { type ChoiceLimits, chooseNodes } from './choose-nodes.ts'
import { rewriteNodes } from './rewrite-nodes.ts'
import type { HalfDType } from './rounding.ts'

/** A sixteenth of the range of float16: other inputs may give larger values than the samples do. */
const maxSampleValue = 4096

/** Lowers a graph by the options, in place. With samples, the ranges of its values are measured first. */
export async function lowerByRequest(model: EditableModel, dtype: HalfDType, request: PassRequest): Promise<Lowered> {
  const {
    options: { precision },
    name,
  } = request
  const magnitudes = dtype === 'float16' ? await magnitudesOf(model, request) : undefined
  const limits = {
    dtype,
    magnitudes,
    maxValue: maxSampleValue,
    maxDepth: precision.maxDepth ?? Infinity,
    pinned: new Set(precision.fp32),
    lowInputs: precision.io !== 'fp32',
  }
  const lowered = await lowerGraph(model, limits)
  if (dtype !== 'float16' || magnitudes || lowered.lowered === 0) return lowered
  const unknown = `the ranges of ${name} are unknown without the option 'calibration'`
  return { ...lowered, notes: [...lowered.notes, `${unknown}: nodes that may overflow float16 stay in fp32`] }
}

/** Lowers a graph by these limits, in place. */
export async function lowerGraph(model: EditableModel, limits: ChoiceLimits): Promise<Lowered> {
  const reason = alreadyLowered(model)
  if (reason) return { unit: 'nodes', total: 0, lowered: 0, changed: [], kept: [], notes: [reason] }
  hideInitializers(model)
  for (const scope of scopesOf(model)) sortNodes(scope, model.file)
  const { low, kept } = await chooseNodes(model, limits)
  const changed = [...low.keys()].map(nodeName)
  if (low.size > 0) rewriteNodes(model, low, limits.dtype)
  return { unit: 'nodes', total: low.size + kept.length, lowered: low.size, changed, kept, notes: [] }
}

async function magnitudesOf(
  model: EditableModel,
  request: PassRequest,
): Promise<ReadonlyMap<string, number> | undefined> {
  const samples = await modelSamples(request)
  if (!samples) return undefined
  const scope: Scope = { graph: model.proto.graph }
  const types = inferTypes(model)
  const { constants } = indexScope(scope)
  const names = new Set([
    ...scope.graph.input.map(({ name }) => name),
    ...scope.graph.node.flatMap(({ output }) => output),
  ])
  const values = [...names].filter((value) => types.of(scope, value) === 'float32' && !constants.has(value))
  const ranges = await calibrate(request, samples, values)
  return new Map(
    [...ranges].map(([value, { min, max, nonFinite }]) => [value, nonFinite > 0 ? Infinity : Math.max(-min, max)]),
  )
}
