import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { OnnxEngineError } from '../../../runtime/errors.ts'
import { countdown } from '../../child/countdown.ts'
import { runChild } from '../../child/run.ts'
import { temporaryFolder } from '../../files/temporary-folder.ts'
import { findReference } from '../../measure/reference.ts'
import { readModel } from '../../onnx/model.ts'
import { compileOptions } from '../../options/resolve.ts'
import type { ResolvedOptions } from '../../options/schema.ts'
import type { EngineProfile, EngineView, GraphView } from '../contract.ts'
import type { NodeTimes, ProfileSettings } from './profile-child.ts'

/** Milliseconds that the runs may take, loading included. */
const longestRun = 60_000

/**
 * Measures how long the nodes of an engine take, by ONNX Runtime's profiler, in a process of its own.
 *
 * @param file the model that it was made from
 * @throws OnnxEngineError BACKEND_UNAVAILABLE for an engine of another backend, and without onnxruntime-node;
 *   INFERENCE_FAILED when it fails, crashes or takes too long
 */
export async function profileEngine(
  engine: EngineView,
  graph: GraphView,
  file: string,
  resolved: ResolvedOptions,
): Promise<EngineProfile> {
  const name = basename(file, '.onnx')
  const options = compileOptions(resolved, { file, query: {} })
  if (engine.backend !== 'onnxruntime')
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', `the time of nodes with ${engine.backend}`, {
      expected: 'an engine of ONNX Runtime, which measures its nodes',
    })
  const model = await readModel(file)
  const reference = await findReference({ options, root: resolved.root } as Parameters<typeof findReference>[0])
  if (!reference.available) throw new OnnxEngineError('BACKEND_UNAVAILABLE', reference.reason)
  await using folder = await temporaryFolder()
  const output = join(folder.path, 'times.json')
  const settings: ProfileSettings = { module: reference.detail.module, source: file, bindings: model.bindings }
  const time = countdown(longestRun)
  try {
    const worker = new URL('./profile-child.js', import.meta.url)
    const job = { name, model: engine.file, output, settings }
    await runChild(worker, job, { signal: time.signal, onStart: () => time.start(), what: 'profiling' })
  } catch (cause) {
    throw new OnnxEngineError('INFERENCE_FAILED', `${name}: its nodes could not be measured`, {
      expected: `${longestRun / 1000} s at most`,
      received: cause instanceof Error ? cause.message : String(cause),
      cause,
    })
  } finally {
    time.stop()
  }
  return sharesOf(graph, JSON.parse(await readFile(output, 'utf8')) as NodeTimes)
}

/** Fused nodes have the name of one of them, often with an ending of the optimisation. */
const endings = /(?:_nchwc|_fused|_token_\d+|_quant|_\d+)+$/

/** The times of the nodes that the graph has, as shares of all. */
export function sharesOf({ nodes }: GraphView, { runs, nodes: times }: NodeTimes): EngineProfile {
  const indexOf = new Map(nodes.map(({ index, name }) => [name, index]))
  const total = times.reduce((sum, [, time]) => sum + time, 0)
  const shares = new Map<number, number>()
  for (const [name, time] of times) {
    const node = indexOf.get(name) ?? indexOf.get(name.replace(endings, ''))
    if (node !== undefined && total > 0) shares.set(node, (shares.get(node) ?? 0) + time / total)
  }
  const named = [...shares.values()].reduce((sum, share) => sum + share, 0)
  const list = Array.from(shares, ([node, time]) => ({ node, time }))
  return { times: list, named: Math.min(1, named), milliseconds: total / 1000 / runs }
}
