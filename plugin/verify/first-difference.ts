import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Bindings } from '../../runtime/manifest.ts'
import { runChild } from '../child/run.ts'
import { hashFile } from '../files/hash.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import type { Comparison } from '../measure/compare.ts'
import { loadGraph } from '../onnx/graph.ts'
import { type InnerValue, innerValues, markOutputs } from '../onnx/mark-outputs.ts'
import { readModel } from '../onnx/model.ts'
import { modelBytes } from '../onnx/size.ts'
import { writeGraph } from '../onnx/write.ts'
import { compareCandidate, type Contest } from './compare-candidate.ts'
import { problemOf, thresholdOf } from './limits.ts'

/** A value inside the graph, how far the engine is from the fp32 model there, and why that is too far. */
export interface ComparedValue extends InnerValue {
  readonly comparison: Comparison
  readonly problem: string | undefined
}

/** Values that one engine gives as outputs: more of them would change too much of what a compiler fuses. */
const mostMarked = 48

/**
 * The first value, in the order of the nodes, at which an engine differs from the fp32 model. Some of the values become
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

/** Compares inner values, with an engine that gives them as outputs. Values that it does not give are left out. */
export async function compareValues(
  contest: Contest,
  values: readonly InnerValue[],
): Promise<readonly ComparedValue[]> {
  const { request } = contest
  const { name, signal, plan, manifest } = request
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'model.onnx')
  const graph = await loadGraph(request.model.file)
  markOutputs(graph, values)
  await writeGraph({ ...graph, external: false }, file)
  const model = { ...(await readModel(file)), name }
  const output = join(folder.path, 'engine')
  await runChild(
    plan.worker,
    { name, model: file, output, settings: plan.settings },
    { signal, modelBytes: modelBytes(model) },
  )
  const [variant] = manifest.variants
  const { size } = await stat(output)
  const marked = { ...variant!, file: pathToFileURL(output).href, size, sha256: await hashFile(output) }
  const bindings: Bindings = { inputs: manifest.bindings.inputs, outputs: model.bindings.outputs }
  const candidate = { manifest: { ...manifest, bindings, variants: [marked] } }
  const { outputs } = await compareCandidate({ ...contest, request: { ...request, model } }, candidate)
  const threshold = thresholdOf(request)
  const byName = new Map(outputs.map((comparison) => [comparison.name, comparison]))
  return values.flatMap((value) => {
    const comparison = byName.get(value.name)
    return comparison ? [{ ...value, comparison, problem: problemOf(comparison, threshold) }] : []
  })
}

/** At most `count` elements, evenly spaced; the last one is among them. */
function spaced<T>(list: readonly T[], count: number): readonly T[] {
  if (list.length <= count) return list
  return Array.from({ length: count }, (_, index) => list[Math.ceil(((index + 1) * list.length) / count) - 1]!)
}
