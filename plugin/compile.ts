import { basename, dirname, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type ErrorCode, OnnxEngineError } from '../runtime/errors.ts'
import type { BackendName, Bindings, Precision, Requirements } from '../runtime/manifest.ts'
import { chooseEngines, type PlannedEngine } from './backend/index.ts'
import { cacheKey, engineFacts, graphFacts, sourceFacts, type CacheKey, type Facts } from './cache/key.ts'
import { readSource } from './cache/source.ts'
import type { Store } from './cache/store.ts'
import { modelManifest } from './emit/module.ts'
import type { Model } from './onnx/model.ts'
import { checkShapes, type CompileOptions } from './options.ts'
import { checkIo, engineBindings } from './precision/io.ts'
import type { EngineReport } from './precision/report.ts'
import type { Progress } from './progress.ts'
import { formatBytes } from './report.ts'

/** An engine file in the cache, ready to be emitted. */
export interface Artifact {
  /** Absolute path of the raw engine inside the cache. */
  readonly file: string
  /** Size in bytes. */
  readonly size: number
  /** Lower-case hex SHA-256 of the bytes. */
  readonly sha256: string
  readonly key: CacheKey
}

/** One compiled engine of a model. */
export interface Variant<B extends BackendName = BackendName> {
  readonly backend: B
  readonly engine: Precision
  /** What tells this engine from the backend's others, such as 'portable'; '' when there is one. */
  readonly label: string
  /** File extension of the raw engine, with the dot. */
  readonly extension: string
  readonly artifact: Artifact
  readonly requires: Requirements[B]
  /** What was lowered, and how far the outputs are from those of the fp32 model; null for fp32. */
  readonly report: EngineReport | null
  /** What the cache did: `reason` is 'hit', 'miss: new', 'miss: weights changed', ... */
  readonly cache: { readonly hit: boolean; readonly reason: string; readonly seconds: number }
}

/** What a compilation of one model gives: the bindings and the variants in order of preference. */
export interface Compiled {
  /** Base name of the model file without '.onnx'. */
  readonly name: string
  readonly bindings: Bindings
  readonly variants: readonly Variant[]
  /** Absolute paths of all files that the model consists of: the .onnx file and its external data. */
  readonly files: readonly string[]
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

/**
 * The whole story of one model: read, check, choose, key, then each engine from the cache or from its compiler.
 *
 * @throws OnnxEngineError with any build-time code; docs/errors.md lists them.
 */
export async function compileModel(request: CompileRequest, context: CompileContext): Promise<Compiled> {
  const { file, options, root } = request
  const name = basename(file).replace(/\.onnx$/i, '')
  const { model, source } = await readSource(file, context.store.statIndex)
  checkShapes(options, model.bindings, name)
  checkIo(options, name)
  const { engines, skipped } = await chooseEngines(model, options, root)
  for (const { message } of skipped) logOnce(context, `passed over ${message}`)
  const built = await Promise.all(
    engines.map((engine) => build(engine, { name, model, source: sourceFacts(source), request, context })),
  )
  const variants = built.filter((variant) => variant !== undefined)
  if (variants.length === 0)
    throw new OnnxEngineError('COMPILE_FAILED', `${name}: no backend could compile the model`, {
      hint: 'The warnings above say why',
    })
  return { name, bindings: bindingsOf(model, options), variants, files: filesOf(model) }
}

interface BuildContext {
  readonly name: string
  readonly model: Model
  readonly source: Facts
  readonly request: CompileRequest
  readonly context: CompileContext
}

async function build(
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
    const [{ runChild }, { modelBytes }] = await Promise.all([import('./backend/child.ts'), import('./onnx/size.ts')])
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
              ? await (await import('./onnx/fix-graph.ts')).fixModel(bindings, model.file, dirname(output), use)
              : await use(model.file)
          progress.phase(`lowering to ${options.engine}`)
          const { lowerModel } = await import('./precision/lower.ts')
          return await lowerModel(pass, passRequest, dirname(output), use, bindings)
        } finally {
          progress.stop()
        }
      },
    )
    const variant = { backend, engine: options.engine, label, extension, artifact, requires, cache, report: null }
    log(`${title}  ${describe(variant)}`)
    if (options.engine === 'fp32') return variant
    const { reportEngine } = await import('./precision/report.ts')
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

// Another backend would not make these well.
const wrongForAll: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['VERIFICATION_FAILED', 'SAMPLES_INVALID'])

const told = new WeakMap<Store, Set<string>>()

// What is missing on this machine is missing for every model of a build.
function logOnce({ store, log }: CompileContext, line: string): void {
  const lines = told.get(store) ?? new Set()
  told.set(store, lines)
  if (!lines.has(line)) log(line)
  lines.add(line)
}

function bindingsOf({ bindings }: Model, { shapes, precision: { io } }: CompileOptions): Bindings {
  return engineBindings(bindings, { shapes, io })
}

/** What the cache did, size, seconds. */
function describe({ cache, artifact }: Variant): string {
  return `${cache.reason}  ${formatBytes(artifact.size)}  ${cache.seconds.toFixed(2)} s`
}

function filesOf({ file, external }: Model): readonly string[] {
  return [...new Set([file, ...external.map((range) => range.file)])]
}
