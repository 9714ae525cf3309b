import { loadGraph } from '../onnx/graph.ts'
import { innerValues } from '../onnx/mark-outputs.ts'
import type { Contest } from './compare-candidate.ts'
import { type ComparedValue, compareValues, mostMarked } from './compare-values.ts'

/**
 * The first value, in the order of the nodes, at which an engine differs from its opponent. Some of the values become
 * outputs of a copy of the model, which is compiled and compared as the engine was; the stretch before the first one
 * that differs is searched again. Undefined when nothing differs any more: then it takes nodes that are compiled
 * together.
 */
export async function firstDifference(contest: Contest): Promise<ComparedValue | undefined> {
  let stretch = innerValues(await loadGraph(contest.request.model.file))
  for (;;) {
    const values = spaced(stretch, mostMarked)
    const compared = await compareValues(contest, values)
    const first = compared.find(({ problem }) => problem !== undefined)
    if (first === undefined || values.length === stretch.length) return first
    const end = stretch.findIndex(({ name }) => name === first.name)
    const before = values[values.findIndex(({ name }) => name === first.name) - 1]
    const begin = before === undefined ? 0 : stretch.findIndex(({ name }) => name === before.name) + 1
    if (end - begin <= 0) return first
    stretch = stretch.slice(begin, end + 1)
  }
}

/** At most `count` elements, evenly spaced; the last one is among them. */
function spaced<T>(list: readonly T[], count: number): readonly T[] {
  if (list.length <= count) return list
  return Array.from({ length: count }, (_, index) => list[Math.ceil(((index + 1) * list.length) / count) - 1]!)
}
