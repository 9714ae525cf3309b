import { sortNodes } from '../../onnx/edit.ts'
import { type EditableModel, loadGraph, mainScope, nodeName } from '../../onnx/graph.ts'
import { inferTypes } from '../../onnx/types.ts'
import { upgradeOpset } from '../../onnx/upgrade.ts'
import { writeGraph } from '../../onnx/write.ts'
import { calibrationMethods } from '../../options/sample-types.ts'
import { alreadyLowered } from '../already-lowered.ts'
import type { Lowered, PassRequest } from '../pass.ts'
import { leastOpset, type Placement } from './backend-rules.ts'
import { tryWays } from './choose-method.ts'
import { placeQuantization } from './place.ts'
import type { Int8Plan, Way } from './plan.ts'
import { describePlaces, quantize } from './quantize.ts'

/** Makes the main graph of a model compute in int8: in the way of the plan, or in the one that is closest to fp32. */
export async function quantizeGraph(model: EditableModel, request: PassRequest, plan: Int8Plan): Promise<Lowered> {
  const reason = alreadyLowered(model)
  if (reason) return { unit: 'nodes', total: 0, lowered: 0, kept: [], notes: [reason] }
  const { method } = plan
  if (method) return (await quantize(model, request, { ...plan, method, equalize: false, correct: false })).lowered
  const { way, note } = await chooseWay(model, request, plan)
  const { lowered } = await quantize(model, request, { ...plan, ...way })
  return lowered.lowered === 0 ? lowered : { ...lowered, notes: [...lowered.notes, note] }
}

/** What may be done to the graph besides: each is tried on top of the best so far, and kept where that comes closer. */
const refinements = ['equalize', 'correct'] as const

interface Choice {
  readonly way: Way
  /** What the user reads of it. */
  readonly note: string
}

async function chooseWay({ file }: EditableModel, request: PassRequest, plan: Int8Plan): Promise<Choice> {
  const { samples, tried: levels } = plan
  // Pinned nodes are tried like the others, so that a pin does not change the way.
  const plain = { ...request, options: { ...request.options, precision: { ...request.options.precision, fp32: [] } } }
  const test = (ways: readonly Way[], refinement?: (typeof refinements)[number]) =>
    tryWays(request, samples, { ways: ways.map(nameOf), levels }, async (index, out) => {
      const graph = await loadGraph(file)
      const { equalized, corrected } = await quantize(graph, plain, { ...plan, levels, ...ways[index]! })
      const counts = { equalize: equalized, correct: corrected }
      if (refinement && counts[refinement] === 0) return false
      await writeGraph({ ...graph, external: false }, out)
      return true
    })
  const methods = calibrationMethods.map((method): Way => ({ method, equalize: false, correct: false }))
  const trials = (await test(methods)).map(([name, cosine]) => ({ way: methods.find(isNamed(name))!, cosine }))
  let best = trials[0]!
  // With the best method only: for each method it would take twice the time, and the same one is best on most nets.
  for (const refinement of refinements) {
    const way = { ...best.way, [refinement]: true }
    const [result] = await test([way], refinement)
    if (!result) continue
    const trial = { way, cosine: result[1] }
    trials.push(trial)
    if (trial.cosine > best.cosine) best = trial
  }
  const others = trials
    .filter((trial) => trial !== best)
    .map(({ way, cosine }) => `${nameOf(way)} ${cosine.toFixed(5)}`)
  const chosen = `ranges by ${nameOf(best.way)}: cosine ${best.cosine.toFixed(5)}`
  return { way: best.way, note: `${chosen} on a few samples (${others.join(', ')})` }
}

function isNamed(name: string): (way: Way) => boolean {
  return (way) => nameOf(way) === name
}

function nameOf({ method, equalize, correct }: Way): string {
  const more = [equalize && 'equalized channels', correct && 'corrected biases'].filter(Boolean)
  return more.length > 0 ? `${method} with ${more.join(' and ')}` : method
}

/** Where Q/DQ would go if samples showed a finite range of every value. The weights are not read. */
export function forecastPlaces(model: EditableModel, request: PassRequest, placement: Placement): Lowered {
  const reason = alreadyLowered(model)
  if (reason) return { unit: 'nodes', total: 0, lowered: 0, kept: [], notes: [reason] }
  const scope = mainScope(model)
  upgradeOpset(model, leastOpset)
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
