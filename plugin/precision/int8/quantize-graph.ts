import { elementCount } from '../../../runtime/dtype.ts'
import { calibrate } from '../../measure/calibrate.ts'
import type { Range } from '../../measure/histogram.ts'
import { sortNodes, nameMaker } from '../../onnx/edit.ts'
import { type EditableModel, loadGraph, nodeName, indexScope, type Scope, scopesOf } from '../../onnx/graph.ts'
import { inferTypes } from '../../onnx/types.ts'
import { upgradeOpset } from '../../onnx/upgrade.ts'
import { writeGraph } from '../../onnx/write.ts'
import { type CalibrationMethod, calibrationMethods } from '../../options/sample-types.ts'
import { alreadyLowered } from '../already-lowered.ts'
import type { PassRequest, Lowered, Kept } from '../pass.ts'
import { placements, type Placement } from './backend-rules.ts'
import { tryWays, type Trial } from './choose-method.ts'
import { removeUnread } from './constants.ts'
import { equalizeChannels } from './equalize.ts'
import { foldConvolutions } from './fold.ts'
import { dequantizeWeight, insertQuantization, storeWeight } from './insert.ts'
import { constantWeights, placeQuantization, type Places } from './place.ts'
import type { Int8Plan } from './plan.ts'

// Q/DQ with a scale for each channel exist since opset 13.
const opset = 13

/** Makes the main graph of a model compute in int8. */
export async function quantizeGraph(model: EditableModel, request: PassRequest, plan: Int8Plan): Promise<Lowered> {
  const reason = alreadyLowered(model)
  if (reason) return { unit: 'nodes', total: 0, lowered: 0, kept: [], notes: [reason] }
  const { samples, tried, method } = plan
  if (method) return quantize(model, request, { ...plan, method, equalize: false })
  const plain = { ...request, options: { ...request.options, precision: { ...request.options.precision, fp32: [] } } }
  const write = async (way: Pick<Way, 'method' | 'equalize'>, file: string) => {
    const graph = await loadGraph(model.file)
    await quantize(graph, plain, { ...plan, levels: tried, ...way })
    await writeGraph({ ...graph, external: false }, file)
  }
  const methods = { levels: tried, ways: calibrationMethods }
  const trial = await tryWays(request, samples, methods, (way, file) => write({ method: way, equalize: false }, file))
  const [[best, cosine], ...others] = trial as [Trial<CalibrationMethod>[number], ...Trial<CalibrationMethod>]
  const equalized = `${best} with equalized channels` as const
  // With the best method only: for each method it would take twice the time, and the same one is best on most nets.
  const [second] = (await canEqualize(model))
    ? await tryWays(request, samples, { levels: tried, ways: [equalized] }, (_, file) =>
        write({ method: best, equalize: true }, file),
      )
    : []
  const equalize = second !== undefined && second[1] > cosine
  const lowered = await quantize(model, request, { ...plan, method: best, equalize })
  if (lowered.lowered === 0) return lowered
  const [[chosen, most], ...rest] = equalize
    ? [second, ...trial]
    : [[best, cosine] as const, ...others, ...(second ? [second] : [])]
  const list = rest.map(([way, less]) => `${way} ${less.toFixed(5)}`).join(', ')
  return {
    ...lowered,
    notes: [...lowered.notes, `ranges by ${chosen}: cosine ${most.toFixed(5)} on a few samples (${list})`],
  }
}

interface Way extends Int8Plan {
  readonly method: CalibrationMethod
  readonly equalize: boolean
}

// Raised when equalization changes other channels, or by another factor.
const equalization = 1

async function quantize(
  model: EditableModel,
  request: PassRequest,
  { placement, samples, method, levels, equalize }: Way,
): Promise<Lowered> {
  const scope = mainScope(model)
  const original = namesOf(scope)
  await fold(model, scope)
  if (equalize) await equalizeChannels(model, scope)
  const types = inferTypes(model)
  const isFloat = (value: string) => original.has(value) && types.of(scope, value) === 'float32'
  const rewritten = {
    name: `equalized ${equalization}`,
    write: (file: string) => writeGraph({ ...model, external: false }, file),
  }
  const values = quantizable(scope, isFloat)
  const ranges = await calibrate(request, samples, values, equalize ? rewritten : undefined)
  const usable = (value: string) => isFloat(value) && ranges.get(value)?.nonFinite === 0
  const isRow = (value: string) => ranges.get(value)?.rows === 1
  const places = placeQuantization(scope, placement, { usable, isRow }, new Set(request.options.precision.fp32))
  // Before the graph changes: the name of a node without one is its output.
  const names = places.weighted.map(({ node }) => nodeName(node))
  await insertQuantization({ model, scope, newName: nameMaker(model) }, places, placement, {
    levels,
    range: (value) =>
      joined((places.shared.get(value) ?? [value]).map((name) => chosenRange(ranges.get(name), method, placement))),
  })
  sortNodes(scope, model.file)
  return describePlaces(places, names)
}

async function fold(model: EditableModel, scope: Scope): Promise<void> {
  upgradeOpset(model, opset)
  sortNodes(scope, model.file)
  await foldConvolutions(model, scope)
}

async function canEqualize({ file }: EditableModel): Promise<boolean> {
  const model = await loadGraph(file)
  const scope = mainScope(model)
  await fold(model, scope)
  return (await equalizeChannels(model, scope)) > 0
}

/** Where Q/DQ would go if samples showed a finite range of every value. The weights are not read. */
export function forecastPlaces(model: EditableModel, request: PassRequest, placement: Placement): Lowered {
  const reason = alreadyLowered(model)
  if (reason) return { unit: 'nodes', total: 0, lowered: 0, kept: [], notes: [reason] }
  const scope = mainScope(model)
  upgradeOpset(model, opset)
  sortNodes(scope, model.file)
  const types = inferTypes(model)
  const usable = (value: string) => types.of(scope, value) === 'float32'
  const pinned = new Set(request.options.precision.fp32)
  const places = placeQuantization(scope, placement, { usable, isRow: () => false }, pinned)
  return describePlaces(
    places,
    places.weighted.map(({ node }) => nodeName(node)),
  )
}

// Below this, the scales and the node take as many bytes as they save.
const smallest = 1024

/** Stores the constant weights of these operators in int8. */
export async function quantizeWeights(model: EditableModel, operators: readonly string[]): Promise<Lowered> {
  const reason = alreadyLowered(model)
  if (reason) return { unit: 'weights', total: 0, lowered: 0, kept: [], notes: [reason] }
  upgradeOpset(model, opset)
  const stored = await storeInt8Weights(model, operators)
  const notes =
    stored.length === 0 ? ['has no large constant weights of products or convolutions to store in int8'] : []
  return { unit: 'weights', total: stored.length, lowered: stored.length, kept: [], notes }
}

/** Stores the constant weights of these operators in int8, but for those that stay; returns their names. */
export async function storeInt8Weights(
  model: EditableModel,
  operators: readonly string[],
  staying: ReadonlySet<string> = new Set(),
): Promise<readonly string[]> {
  const scope = mainScope(model)
  const editor = { model, scope, newName: nameMaker(model) }
  const index = indexScope(scope)
  const stored = new Map<string, string>()
  const names = new Set<string>()
  for (const node of scope.graph.node.slice()) {
    const weights = node.domain === '' && operators.includes(node.opType) ? constantWeights(node, index) : undefined
    if (!weights || 4 * elementCount(weights.dims) < smallest) continue
    if (staying.has(weights.weight) || staying.has(nodeName(node))) continue
    names.add(weights.weight)
    const key = `${weights.axis} ${weights.weight}`
    if (!stored.has(key)) {
      const weight = await storeWeight(editor, weights, 127)
      stored.set(key, dequantizeWeight(editor, weights.weight, weight))
    }
    node.input[1] = stored.get(key)!
  }
  removeUnread(scope, index.constants)
  sortNodes(scope, model.file)
  return [...names]
}

function mainScope(model: EditableModel): Scope {
  return scopesOf(model)[0]!
}

// The values that any backend quantizes, so that one calibration is enough for all.
function quantizable(scope: Scope, usable: (value: string) => boolean): string[] {
  const values = new Set<string>()
  for (const placement of Object.values(placements)) {
    const places = placeQuantization(scope, placement, { usable, isRow: () => false })
    for (const range of places.values.values()) for (const name of places.shared.get(range) ?? [range]) values.add(name)
  }
  return [...values].sort()
}

function joined(ranges: readonly (readonly [number, number])[]): readonly [number, number] {
  return [Math.min(...ranges.map(([low]) => low)), Math.max(...ranges.map(([, high]) => high))]
}

function chosenRange(
  range: Range | undefined,
  method: CalibrationMethod,
  { activations }: Placement,
): readonly [number, number] {
  if (!range) return [0, 0]
  if (method === 'minmax') return [range.min, range.max]
  return method === 'percentile' ? range.percentile : range[method][activations]
}

function namesOf({ graph }: Scope): ReadonlySet<string> {
  return new Set([...graph.input.map(({ name }) => name), ...graph.node.flatMap(({ output }) => output)])
}

function describePlaces({ weighted, kept }: Places, names: readonly string[]): Lowered {
  const notes =
    kept.length + weighted.length === 0
      ? ['has no product or convolution with constant weights: nothing is quantized']
      : []
  const list = kept.map(({ node, reason }): Kept => ({ name: nodeName(node), operator: node.opType, reason }))
  return {
    unit: 'nodes',
    total: kept.length + weighted.length,
    lowered: weighted.length,
    changed: names,
    kept: list,
    notes,
  }
}
