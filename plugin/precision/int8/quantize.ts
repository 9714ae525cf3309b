import { nameMaker, sortNodes } from '../../onnx/edit.ts'
import { type EditableModel, nodeName } from '../../onnx/graph.ts'
import type { Kept, Lowered, PassRequest } from '../pass.ts'
import { biasShifts } from './bias-shifts.ts'
import { correctBiases } from './correct-biases.ts'
import { insertQuantization } from './insert.ts'
import { placeQuantization, type Places } from './place.ts'
import type { WayPlan } from './plan.ts'
import { prepareGraph } from './prepare.ts'

/** A graph in int8, and at how many places the way changed more than that. */
export interface Quantized {
  readonly lowered: Lowered
  readonly equalized: number
  readonly corrected: number
}

/**
 * Makes a graph compute in int8 in one way.
 *
 * @throws OnnxEngineError SAMPLES_INVALID, BACKEND_UNAVAILABLE, COMPILE_FAILED, COMPILE_ABORTED
 */
export async function quantize(model: EditableModel, request: PassRequest, way: WayPlan): Promise<Quantized> {
  const { placement, levels, correct } = way
  const { scope, observed, rangeIn, equalized } = await prepareGraph(model, request, way)
  const places = placeQuantization(scope, placement, observed, new Set(request.options.precision.fp32))
  // Before the graph changes: the name of a node without one is its output.
  const names = places.weighted.map(({ node }) => nodeName(node))
  const editor = { model, scope, newName: nameMaker(model) }
  const corrected = correct ? await correctBiases(editor, places, await biasShifts(request, model.file, way)) : 0
  await insertQuantization(editor, places, placement, { levels, range: rangeIn(places) })
  sortNodes(scope, model.file)
  return { lowered: describePlaces(places, names), equalized, corrected }
}

/** What Q/DQ at these places make of the nodes, whose names are given. */
export function describePlaces({ weighted, kept }: Places, names: readonly string[]): Lowered {
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
