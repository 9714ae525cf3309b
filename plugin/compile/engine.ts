import { pathToFileURL } from 'node:url'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Bindings } from '../../runtime/manifest.ts'
import { importKeyOf } from '../cache/import-records.ts'
import { cacheKey, engineFacts, graphFacts, type CacheKey, type Facts, type Json, type Pass } from '../cache/key.ts'
import type { WatchedStore } from '../cache/watched-sources.ts'
import type { Model } from '../onnx/model.ts'
import { engineBindings } from '../options/engine-bindings.ts'
import type { CompileOptions } from '../options/schema.ts'
import type { PassRequest } from '../precision/pass.ts'
import { formatBytes } from '../text.ts'
import type { SizedEngine } from '../verify/gain.ts'
import type { EngineReport } from '../verify/report.ts'
import { runsHere, type VerifyRequest } from '../verify/request.ts'
import type { PlannedEngine } from './choose-engines.ts'
import { type EngineMetadata, engineMetadata } from './engine-metadata.ts'
import { modelManifest } from './manifest.ts'
import { nativeTwin } from './native-twin.ts'
import type { CompileContext, CompileRequest } from './request.ts'
import type { Variant } from './variant.ts'

/** A model that was read, and the request that it was read for. */
export interface ModelJob {
  readonly name: string
  /** Source facts of the key: digests of the model's files. */
  readonly source: Facts
  readonly request: CompileRequest
  readonly context: CompileContext & { readonly store: WatchedStore }
}

/** An engine that was compared with the fp32 model, as far as the options ask for it. */
export interface VerifiedEngine {
  readonly variant: Variant
  /** For measurements of the same engine. */
  readonly sized: SizedEngine
  /** Names that stay in fp32 because of the comparison, besides those of the options. */
  readonly pinned: readonly string[]
}

/**
 * One engine of one model, from the cache or from its compiler. Undefined when it cannot be made and `'auto'` chose its
 * backend: the build goes on without it, with a warning.
 *
 * @throws OnnxEngineError with any build-time code
 */
export function buildEngine(planned: PlannedEngine, job: ModelJob): Promise<VerifiedEngine | undefined> {
  return unlessAutoLeavesOut(planned, job, () => buildVerified(planned, job))
}

/**
 * One engine of one model for a comparison, and the report of its lowering. Undefined as in `buildEngine`.
 *
 * @throws OnnxEngineError with any build-time code
 */
export function buildUnverified(
  planned: PlannedEngine,
  job: ModelJob,
): Promise<{ readonly request: VerifyRequest; readonly lowering: Json } | undefined> {
  return unlessAutoLeavesOut(planned, job, async () => {
    const engine = await buildOnce(planned, job, job.request.options)
    return { request: verifyRequestOf(engine, planned), lowering: engine.metadata }
  })
}

async function unlessAutoLeavesOut<T>(
  planned: PlannedEngine,
  { name, context }: ModelJob,
  build: () => Promise<T>,
): Promise<T | undefined> {
  for (const note of planned.plan.notes ?? []) context.log(`${name}: ${note}`)
  try {
    return await build()
  } catch (error) {
    const fatal = planned.requested || context.signal?.aborted
    if (fatal || !(error instanceof OnnxEngineError) || failsEverywhere(planned, error)) throw error
    if (!(await context.store.unchanged())) throw error
    context.warn(`${name}: built without ${planned.backend}: ${inOneLine(error.message)}`)
    return undefined
  }
}

/** Without the rows of a table, which are indented. */
function inOneLine(message: string): string {
  const lines = message.split('\n').filter((line) => line !== '' && !line.startsWith('  '))
  return lines.join('; ').replaceAll('; . ', '. ')
}

/**
 * Whether the build must end, though `'auto'` chose the backend. Samples are the same for all. An engine of ONNX
 * Runtime that is too far loses by its precision, and it is the one that every machine, or every page, can run.
 */
function failsEverywhere({ backend }: PlannedEngine, { code }: OnnxEngineError): boolean {
  const isLast = backend === 'onnxruntime' || backend === 'wasm'
  return code === 'SAMPLES_INVALID' || (code === 'VERIFICATION_FAILED' && isLast)
}

/** ONNX Runtime in fp32 is what all engines are compared with. */
function isReference({ backend, engine }: Variant): boolean {
  return backend === 'onnxruntime' && engine === 'fp32'
}

/** Builds and compares. `autoPin` builds again with the nodes to blame in fp32. */
async function buildVerified(planned: PlannedEngine, job: ModelJob): Promise<VerifiedEngine> {
  let { options } = job.request
  const pinned: string[] = []
  for (;;) {
    const engine = await buildOnce(planned, job, options)
    const sized = sizedEngine(engine, planned)
    if (isReference(engine.variant)) return { variant: engine.variant, sized, pinned }
    const { reportEngine } = await import('../verify/report.ts')
    const { pins, ...report } = await reportEngine(sized.request, engine.metadata)
    refuseUncompared(planned, job.name, report)
    const verified = report.verification !== null && report.verification.skipped === undefined
    if (pins.length === 0) return { variant: { ...engine.variant, report, verified }, sized, pinned }
    pinned.push(...pins)
    options = withPins(options, pins)
  }
}

/**
 * An engine of another library that cannot be compared, because ONNX Runtime does not run the model or no inputs are
 * found: in the operator tests of ONNX those are the ones that are wrong.
 */
function refuseUncompared({ backend }: PlannedEngine, name: string, report: EngineReport): void {
  const skipped = report.verification?.skipped
  if (skipped === undefined || backend === 'onnxruntime' || !runsHere.has(backend)) return
  throw new OnnxEngineError('VERIFICATION_FAILED', `${name}: the engine cannot be compared: ${skipped}`, {
    hint: `Give samples by the option 'verify.samples', or set 'verify: false' to use it as it is`,
  })
}

interface BuiltEngine {
  readonly variant: Variant
  readonly key: CacheKey
  readonly importKey: string
  readonly request: PassRequest
  /** The report of the lowering, kept with the engine; null when nothing was lowered. */
  readonly metadata: Json
}

async function buildOnce(planned: PlannedEngine, job: ModelJob, options: CompileOptions): Promise<BuiltEngine> {
  const { backend, plan } = planned
  const { name, source, context } = job
  const { model, passes: edits } = planned.source
  const { store, signal, log, verbose = false } = context
  const { root, query, file } = job.request
  const { label, extension, requires, lowering } = plan
  const simplify = plan.simplify ? bindingsOf(model, options) : undefined
  const request: PassRequest = { name, model, options, backend, label, lowering, simplify, root, ...context }
  const passes = [...edits, ...(await passesOf(planned, request))]
  const key = cacheKey(engineFacts(graphFacts(source, { passes, shapes: options.shapes }), backend, plan.facts))
  const importKey = importKeyOf(root, file, query, backend, label)
  const title = `${name}  ${options.engine}  ${label ? `${backend} (${label})` : backend}`
  const stored = await store.getOrBuild({ key, importKey, label: name, signal }, async (output) => {
    // Loaded when something has to be built: a build of hits does not wait for compilers and passes.
    const { compileGraph } = await import('./compile-graph.ts')
    const bindings = plan.fixDims ? bindingsOf(model, options) : undefined
    const compiled = await compileGraph({ planned, request, bindings, title, importKey, verbose, context }, output)
    const shipped = { engine: options.engine, label, requires, bindings: bindingsOf(model, options) }
    return { ...compiled, shipped } satisfies EngineMetadata as unknown as Json
  })
  const { artifact, metadata, ...cache } = stored
  const { lowering: report, layers } = engineMetadata(metadata)
  const engine = options.engine
  const variant = {
    backend,
    engine,
    label,
    extension,
    artifact,
    requires,
    cache,
    report: null,
    verified: true,
    ...(layers && { layers }),
  }
  if (!context.onEvent) log(`${title}  ${cache.reason}  ${formatBytes(artifact.size)}  ${cache.seconds.toFixed(2)} s`)
  return { variant, key, importKey, request, metadata: report }
}

/** The rewrites of the graph, as they are in the key. */
async function passesOf({ plan, pass }: PlannedEngine, request: PassRequest): Promise<Pass[]> {
  const simplify = plan.simplify ? await import('../simplify/simplify.ts') : undefined
  return [
    ...(plan.fixDims ? [{ name: 'fix-dims', version: 1, options: {} }] : []),
    ...(simplify ? [await simplify.describeSimplify(request)] : []),
    ...(pass ? [await pass.describe(request)] : []),
  ]
}

/** A built engine as it is run for a measurement: from the cache, when it was built before. */
export async function buildForComparison(planned: PlannedEngine, job: ModelJob): Promise<SizedEngine> {
  const engine = await buildOnce(planned, { ...job, context: { ...job.context, log: () => {} } }, job.request.options)
  return sizedEngine(engine, planned)
}

function sizedEngine(engine: BuiltEngine, planned: PlannedEngine): SizedEngine {
  return { request: verifyRequestOf(engine, planned), size: engine.variant.artifact.size, lowering: engine.metadata }
}

function verifyRequestOf(
  { variant, key, importKey, request }: BuiltEngine,
  { pass, plan }: PlannedEngine,
): VerifyRequest {
  const { name, model, options } = request
  const compiled = { name, bindings: bindingsOf(model, options), variants: [nativeTwin(variant)], files: [] }
  const manifest = modelManifest(compiled, [pathToFileURL(variant.artifact.file).href])
  return { ...request, pass, plan, key, importKey, manifest, fresh: !variant.cache.hit }
}

function withPins(options: CompileOptions, pins: readonly string[]): CompileOptions {
  const fp32 = [...options.precision.fp32, ...pins]
  return { ...options, precision: { ...options.precision, fp32, autoPin: false } }
}

/** The bindings of the engines that these options make. */
export function bindingsOf({ bindings }: Model, { shapes, precision: { io } }: CompileOptions): Bindings {
  return engineBindings(bindings, { shapes, io })
}
