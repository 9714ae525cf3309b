import { relative, dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { OnnxEngineError, type ErrorCode } from '../../runtime/errors.ts'
import type { Bindings } from '../../runtime/manifest.ts'
import { cacheKey, engineFacts, graphFacts, type Facts } from '../cache/key.ts'
import type { Store } from '../cache/store.ts'
import type { Model } from '../onnx/model.ts'
import { engineBindings } from '../options/engine-bindings.ts'
import type { CompileOptions } from '../options/resolve.ts'
import { formatBytes } from '../text.ts'
import type { PlannedEngine } from './choose-engines.ts'
import { modelManifest } from './manifest.ts'
import type { Progress } from './progress.ts'
import type { Variant } from './variant.ts'

export async function build(
  engine: PlannedEngine,
  { name, model, source, request, context }: BuildContext,
): Promise<Variant | undefined> {
  const { backend, plan, pass, requested } = engine
  const { store, signal, log, warn, verbose = false } = context
  const { label, extension, requires, settings } = plan
  const { options, root } = request
  const family = [relative(request.root, model.file).replaceAll('\\', '/'), request.query, backend, label].join(' ')
  const title = `${name}  ${options.engine}  ${label ? `${backend} (${label})` : backend}`
  const compile = async (file: string, output: string, { phase }: Progress): Promise<void> => {
    const named = (print: (line: string) => void) => (text: string) => print(`${name}: ${text}`)
    const inDetail = verbose ? named(log) : () => {}
    // Errors that matter are in what the compiler throws; a library may log hundreds of them on its way there.
    const tell = { phase, info: inDetail, warning: named(warn), error: inDetail }
    phase('waiting for other compilers')
    // Loaded, like the passes, when something has to be built: a build of hits does not wait for them.
    const [{ runChild }, { modelBytes }] = await Promise.all([import('../child/run.ts'), import('../onnx/size.ts')])
    return runChild(
      plan.worker,
      { name, model: file, output, settings, verbose },
      {
        signal,
        modelBytes: modelBytes(model),
        started: () => phase('compiling'),
        log: (severity, text) => tell[severity](text),
      },
    )
  }
  for (const note of plan.notes ?? []) log(`${name}: ${note}`)
  try {
    return await make(options)
  } catch (error) {
    if (requested || signal?.aborted || !(error instanceof OnnxEngineError) || wrongForAll.has(error.code)) throw error
    warn(`${name}: built without ${backend}: ${error.message.replaceAll('\n', '; ')}`)
    return undefined
  }

  async function make(options: CompileOptions): Promise<Variant> {
    const passRequest = { name, model, options, backend, label, lowering: plan.lowering, root, ...context }
    const fixes = plan.fixDims ? [{ name: 'fix-dims', version: 1, options: {} }] : []
    const passes = pass ? [...fixes, await pass.describe(passRequest)] : fixes
    const key = cacheKey(engineFacts(graphFacts(source, { passes, shapes: options.shapes }), backend, plan.facts))
    const { artifact, metadata, ...cache } = await store.getOrBuild(
      { key, family, label: name, signal },
      async (output) => {
        const { startProgress } = await import('./progress.ts')
        const progress = startProgress(title, await store.lastSeconds(family), log)
        try {
          const bindings = plan.fixDims ? bindingsOf(model, options) : undefined
          const use = (file: string): Promise<void> => compile(file, output, progress)
          if (!pass)
            return bindings
              ? await (await import('../onnx/fix-graph.ts')).fixModel(bindings, model.file, dirname(output), use)
              : await use(model.file)
          progress.phase(`lowering to ${options.engine}`)
          const { lowerModel } = await import('../precision/lower.ts')
          return await lowerModel(pass, passRequest, dirname(output), use, bindings)
        } finally {
          progress.stop()
        }
      },
    )
    const variant = { backend, engine: options.engine, label, extension, artifact, requires, cache, report: null }
    log(`${title}  ${describe(variant)}`)
    if (options.engine === 'fp32') return variant
    const { reportEngine } = await import('../verify/report.ts')
    const bindings = bindingsOf(model, options)
    const { pins, ...report } = await reportEngine(
      {
        ...passRequest,
        pass,
        key,
        family,
        manifest: modelManifest({ name, bindings, variants: [variant], files: [] }, [
          pathToFileURL(artifact.file).href,
        ]),
      },
      metadata,
    )
    return pins.length === 0
      ? { ...variant, report }
      : make({
          ...options,
          precision: { ...options.precision, fp32: [...options.precision.fp32, ...pins], autoPin: false },
        })
  }
}

interface BuildContext {
  readonly name: string
  readonly model: Model
  readonly source: Facts
  readonly request: CompileRequest
  readonly context: CompileContext
}

// Another backend would not make these well.
const wrongForAll: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['VERIFICATION_FAILED', 'SAMPLES_INVALID'])

/** What the cache did, size, seconds. */
function describe({ cache, artifact }: Variant): string {
  return `${cache.reason}  ${formatBytes(artifact.size)}  ${cache.seconds.toFixed(2)} s`
}

export function bindingsOf({ bindings }: Model, { shapes, precision: { io } }: CompileOptions): Bindings {
  return engineBindings(bindings, { shapes, io })
}

/** One model to compile, all options resolved. */
export interface CompileRequest {
  /** Absolute path of the .onnx file. */
  readonly file: string
  /**
   * Canonical text of the import's query: two imports of one file with different queries are told apart in the cache's
   * history.
   */
  readonly query: string
  readonly options: CompileOptions
  /** Folder of the app: installed libraries are looked for from here. */
  readonly root: string
}

/** What a compilation needs from its surroundings. */
export interface CompileContext {
  readonly store: Store
  readonly log: (line: string) => void
  readonly warn: (line: string) => void
  /** Prints all that the backends log. */
  readonly verbose?: boolean
  readonly signal?: AbortSignal
}
