import { calibrate } from '../../measure/calibrate.ts'
import type { Range } from '../../measure/histogram.ts'
import { sortNodes } from '../../onnx/edit.ts'
import { type EditableModel, mainScope, type Scope } from '../../onnx/graph.ts'
import { inferTypes } from '../../onnx/types.ts'
import { upgradeOpset } from '../../onnx/upgrade.ts'
import { writeGraph } from '../../onnx/write.ts'
import type { CalibrationMethod } from '../../options/sample-types.ts'
import type { PassRequest } from '../pass.ts'
import { leastOpset, type Placement, placements } from './backend-rules.ts'
import { equalizeChannels } from './equalize.ts'
import { foldConvolutions } from './fold.ts'
import { type ObservedValues, placeQuantization, type Places } from './place.ts'
import type { WayPlan } from './plan.ts'

/** A graph that is ready for Q/DQ, and what the samples showed of its values. */
export interface PreparedGraph {
  readonly scope: Scope
  readonly observed: ObservedValues
  /** The range of a value, and of those that share it. */
  readonly rangeIn: (places: Places) => (value: string) => readonly [low: number, high: number]
  /** How many pairs of convolutions have equalized channels. */
  readonly equalized: number
}

/** Raised when equalization changes other channels, or by another factor. */
export const equalization = 1

/**
 * Folds what follows convolutions into their weights, equalizes channels if the way does, and finds the ranges of all
 * values. The same model and way give the same names.
 *
 * @throws OnnxEngineError SAMPLES_INVALID, BACKEND_UNAVAILABLE, COMPILE_FAILED, COMPILE_ABORTED
 */
export async function prepareGraph(
  model: EditableModel,
  request: PassRequest,
  { placement, samples, method, equalize }: WayPlan,
): Promise<PreparedGraph> {
  const scope = mainScope(model)
  const original = namesOf(scope)
  upgradeOpset(model, leastOpset)
  sortNodes(scope, model.file)
  await foldConvolutions(model, scope)
  const equalized = equalize ? await equalizeChannels(model, scope) : 0
  const types = inferTypes(model)
  const isFloat = (value: string) => original.has(value) && types.of(scope, value) === 'float32'
  const rewritten = {
    name: `equalized ${equalization}`,
    write: (file: string) => writeGraph({ ...model, external: false }, file),
  }
  const ranges = await calibrate(request, samples, quantizable(scope, isFloat), equalize ? rewritten : undefined)
  const observed = {
    usable: (value: string) => isFloat(value) && ranges.get(value)?.nonFinite === 0,
    isRow: (value: string) => ranges.get(value)?.rows === 1,
  }
  const rangeOf = (name: string) => chosenRange(ranges.get(name), method, placement)
  const rangeIn = (places: Places) => (value: string) => joined((places.shared.get(value) ?? [value]).map(rangeOf))
  return { scope, observed, rangeIn, equalized }
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
