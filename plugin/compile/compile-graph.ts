import { readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Bindings } from '../../runtime/manifest.ts'
import { type Layer, layersFile } from '../backend/layers.ts'
import { runChild } from '../child/run.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { fixModel } from '../onnx/fix-graph.ts'
import { loadGraph } from '../onnx/graph.ts'
import { modelBytes } from '../onnx/size.ts'
import type { LoweringReport } from '../precision/lower.ts'
import type { PassRequest } from '../precision/pass.ts'
import { keptOnnx } from '../verify/keep-onnx.ts'
import { loaders } from './backends.ts'
import type { PlannedEngine } from './choose-engines.ts'
import type { EngineMetadata } from './engine-metadata.ts'
import { startProgress, type Progress } from './progress.ts'
import type { CompileContext } from './request.ts'

/** An engine that the cache does not have. */
export interface EngineJob {
  readonly planned: PlannedEngine
  readonly request: PassRequest
  /** Bindings whose static dims are written into the graph first; undefined when the backend fixes them itself. */
  readonly bindings: Bindings | undefined
  /** Model, precision and backend, for lines of progress. */
  readonly title: string
  readonly importKey: string
  readonly verbose: boolean
  readonly context: Pick<CompileContext, 'onEvent' | 'startProgress'>
}

/**
 * Prepares the graph of an engine and compiles it in a child process, which writes `output`.
 *
 * @returns what is kept with the engine
 * @throws OnnxEngineError COMPILE_FAILED, COMPILE_ABORTED, and what the pass throws
 */
export async function compileGraph(job: EngineJob, output: string): Promise<EngineMetadata> {
  const { request, title, importKey, context } = job
  if (job.planned.plan.elsewhere !== undefined) throw notBuilt(title, job.planned.plan.elsewhere)
  const last = await request.store.lastSeconds(importKey)
  const progress = context.startProgress?.(title, last) ?? startProgress(title, last, request.log)
  try {
    await using folder = await temporaryFolder(dirname(output))
    const graphFile = await simplify(job.request, folder.path, progress)
    await refuseWrongNodes(job, graphFile ?? job.request.model.file)
    const graph = await prepareGraph({ ...job, request: { ...job.request, graphFile } }, folder.path, progress)
    await compile(job, graph.file, output, progress)
    return { lowering: graph.report ?? null, layers: await takeLayers(output) }
  } finally {
    progress.stop()
  }
}

function notBuilt(title: string, machine: string): OnnxEngineError {
  return new OnnxEngineError('NOT_CACHED', title, {
    expected: `the plan of ${machine}, in the cache or in 'cache.remote'`,
    received: 'none',
    hint: 'Build on that machine first, with a cache.remote that it may write',
  })
}

/** Reads the layers that a compiler listed next to the engine, and removes the list: the cache keeps one file. */
async function takeLayers(output: string): Promise<readonly Layer[] | undefined> {
  const file = layersFile(output)
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  await rm(file)
  return JSON.parse(text) as Layer[]
}

/** The path of a simpler model, if the backend wants one. */
async function simplify(request: PassRequest, into: string, { phase }: Progress): Promise<string | undefined> {
  if (!request.simplify) return undefined
  phase('simplifying the graph')
  const { simplifyModel } = await import('../simplify/simplify.ts')
  return simplifyModel({ ...request, bindings: request.simplify }, into)
}

/** Before anything is lowered or compiled: what a compiler computes wrong in fp32 is no better in lower precision. */
async function refuseWrongNodes({ planned, request }: EngineJob, file: string): Promise<void> {
  const { backend, plan } = planned
  const knownWrong = await (await loaders[backend]()).knownWrong?.()
  if (!knownWrong) return
  const { refuseKnownWrong } = await import('../backend/known-wrong.ts')
  const { version } = plan.requires
  await refuseKnownWrong(request.name, await loadGraph(file), { backend, version, knownWrong })
}

interface PreparedGraph {
  readonly file: string
  readonly report?: LoweringReport
}

async function prepareGraph(job: EngineJob, into: string, progress: Progress): Promise<PreparedGraph> {
  const { planned, request, bindings } = job
  const { model, options } = request
  if (planned.pass) {
    progress.phase(`lowering to ${options.engine}`)
    const { lowerModel } = await import('../precision/lower.ts')
    return lowerModel(planned.pass, request, { into, bindings, keep: await keptOnnx(request) })
  }
  if (request.graphFile !== undefined) return { file: request.graphFile }
  if (!bindings) return { file: model.file }
  const file = join(into, 'model.onnx')
  await fixModel(bindings, model.file, file)
  return { file }
}

async function compile(job: EngineJob, file: string, output: string, { phase }: Progress): Promise<void> {
  const { planned, request, verbose } = job
  const { onEvent } = job.context
  const { name, model, signal, log, warn } = request
  const { worker, settings } = planned.plan
  const named = (print: (line: string) => void) => (text: string) => print(`${name}: ${text}`)
  const inDetail = verbose ? named(log) : () => {}
  const report =
    onEvent && ((text: string) => onEvent({ event: 'warning', model: name, backend: planned.backend, text }))
  // Errors that matter are in what the compiler throws; a library may log hundreds of them on its way there.
  const print = { phase, info: inDetail, warning: report ?? named(warn), error: inDetail }
  phase('waiting for other compilers')
  await runChild(
    worker,
    { name, model: file, output, settings, verbose },
    {
      signal,
      modelBytes: modelBytes(model),
      onStart: () => phase('compiling'),
      log: (severity, text) => print[severity](text),
    },
  )
}
