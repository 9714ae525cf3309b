import { basename } from 'node:path'
import { OnnxEngineError } from '../../../runtime/errors.ts'
import { findReference } from '../../measure/reference.ts'
import { readModel } from '../../onnx/model.ts'
import { modelBytes } from '../../onnx/size.ts'
import { compileOptions } from '../../options/resolve.ts'
import type { ResolvedOptions } from '../../options/schema.ts'
import { knownInputs } from '../../verify/random-inputs.ts'
import type { EngineProfile, EngineView, GraphView, NodeView } from '../contract.ts'
import type { NodeTimes } from './node-times.ts'
import type { ProfileSettings } from './profile-child.ts'
import { runForPage } from './run-for-page.ts'

/** An engine, and the graph and file of the model that it was made from. */
export interface ProfileTarget {
  readonly engine: EngineView
  readonly graph: GraphView
  readonly file: string
  readonly options: ResolvedOptions
}

/**
 * Measures how long the nodes of an engine take, by ONNX Runtime's profiler.
 *
 * @throws OnnxEngineError BACKEND_UNAVAILABLE for an engine of another backend, and without onnxruntime-node;
 *   INFERENCE_FAILED when it fails, crashes or takes longer than `limit` milliseconds
 */
export async function profileEngine(
  { engine, graph, file, options: resolved }: ProfileTarget,
  limit?: number,
): Promise<EngineProfile> {
  const options = compileOptions(resolved, { file, query: {} })
  if (engine.backend !== 'onnxruntime')
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', `the time of nodes with ${engine.backend}`, {
      expected: 'an engine of ONNX Runtime, which measures its nodes',
      hint: 'Choose such an engine, or build one',
    })
  const model = await readModel(file)
  const reference = await findReference({ options, root: resolved.root } as Parameters<typeof findReference>[0])
  if (!reference.available) throw new OnnxEngineError('BACKEND_UNAVAILABLE', reference.reason)
  const { module } = reference.detail
  const settings: ProfileSettings = { module, source: file, bindings: model.bindings, known: knownInputs(options) }
  const worker = new URL('./profile-child.js', import.meta.url)
  const job = { name: basename(file, '.onnx'), model: engine.file, settings }
  const times = await runForPage(worker, job, { modelBytes: modelBytes(model), what: 'profiling' }, limit)
  return sharesOf(graph, times as NodeTimes)
}

/**
 * The times of the nodes that the graph has, as shares of all. Nodes that the optimiser made, and those whose names
 * leave a doubt, only count for the whole.
 */
export function sharesOf({ nodes }: GraphView, { runs, nodes: times }: NodeTimes): EngineProfile {
  const byName = uniqueBy(nodes, ({ name }) => [name])
  const byOutput = uniqueBy(nodes, ({ outputs }) => outputs)
  const timeByName = uniqueBy(times, ({ name }) => [name])
  const unnamed = new Set(nodes.filter(({ name }) => name === '').map(({ op }) => op))
  const nodeOf = (timed: NodeTimes['nodes'][number]): NodeView | undefined => {
    const { name, op, index } = timed
    if (timeByName.get(name) !== timed) return undefined
    // ONNX Runtime's profiler calls nodes without a name so.
    if (unnamed.has(op) && name === `${op}_${index}`) return undefined
    if (byName.has(name)) return byName.get(name)
    // Convolutions and pools in blocks are called by their output, as nchwc_transformer.cc does. Where that was the
    // output of another node, which was fused into it, it is one of several.
    const maker = name.endsWith(blocked) ? byOutput.get(name.slice(0, -blocked.length)) : undefined
    return maker?.op === op ? maker : undefined
  }
  const named = times.flatMap((timed) => {
    const node = nodeOf(timed)?.index
    return node === undefined ? [] : [{ node, time: timed.time }]
  })
  const total = sumOf(times)
  return {
    times: named.map(({ node, time }) => ({ node, time: time / (total || 1) })),
    named: sumOf(named) / (total || 1),
    milliseconds: total / 1000 / runs,
  }
}

const blocked = '_nchwc'

const sumOf = (times: readonly { readonly time: number }[]) => times.reduce((sum, { time }) => sum + time, 0)

/** Items by their keys. A key that is empty, or that two items have, has none. */
function uniqueBy<T>(items: readonly T[], keysOf: (item: T) => readonly string[]): ReadonlyMap<string, T | undefined> {
  const found = new Map<string, T | undefined>()
  for (const item of items) for (const key of keysOf(item)) found.set(key, found.has(key) ? undefined : item)
  return found.set('', undefined)
}
