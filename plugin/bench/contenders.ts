import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { pathOf } from '../../runtime/artifact.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { readManifest } from '../../runtime/load.ts'
import type { BackendName, ModelManifest, Precision, VariantManifest } from '../../runtime/manifest.ts'
import type { LoadOptions } from '../../runtime/options.ts'
import { compile } from '../api.ts'
import { onnxruntime } from '../backend/onnxruntime/backend.ts'
import { openStore } from '../cache/store.ts'
import { modelManifest } from '../compile/manifest.ts'
import type { CompileContext } from '../compile/request.ts'
import type { Compiled, Variant } from '../compile/variant.ts'
import { forModel } from '../options/for-model.ts'
import { compileOptions, resolveOptions } from '../options/resolve.ts'
import { engineBackends } from '../options/served-variant.ts'
import type { Options } from '../options/types.ts'
import type { Accuracy, InputModel, Opponent, RowFigures, RowName } from './contract.ts'

/** Which engines of a model are measured. */
export interface ContenderRequest {
  /** An .onnx file, or the manifest of engines that were built before. */
  readonly model: string
  readonly precisions: readonly Precision[]
  /** Options of the compilation, without `engine`. */
  readonly options: Options
  /** Whether the plain library is a row too. */
  readonly againstPlain: boolean
  readonly load: Pick<LoadOptions, 'threads' | 'device'>
}

/** An engine to measure: its row without figures, and how its process opens it; or why it cannot be made. */
export type Contender = { readonly name: Omit<RowName, 'concurrency'> } & (
  | ({ readonly opponent: Opponent } & Pick<RowFigures, 'size' | 'build' | 'accuracy'>)
  | { readonly failed: string }
)

/** All contenders, and what their inputs are drawn for. */
export interface Contenders {
  readonly model: InputModel
  readonly contenders: readonly Contender[]
  /** Compiled models, for a caller that writes their engines. */
  readonly compiled: readonly Compiled[]
}

/**
 * Finds the engines of a manifest, or compiles a model in each precision, through the cache. A precision that cannot be
 * made is a contender that failed.
 *
 * @throws OnnxEngineError when the model or the manifest cannot be read, or no precision can be made
 */
export async function findContenders(
  request: ContenderRequest,
  context: Pick<CompileContext, 'log' | 'warn'>,
): Promise<Contenders> {
  const isManifest = request.model.endsWith('.json')
  const found = isManifest ? await manifestContenders(request) : await compiledContenders(request, context)
  if (!request.againstPlain) return found
  if (isManifest)
    throw new OnnxEngineError('OPTION_INVALID', '--against onnxruntime-node', {
      expected: 'an .onnx file, which the plain library opens',
      received: request.model,
    })
  return { ...found, contenders: [...found.contenders, await plainContender(request)] }
}

async function manifestContenders({ model: file, load }: ContenderRequest): Promise<Contenders> {
  const manifest = await readManifest(file)
  const contenders = manifest.variants.map((variant): Contender => {
    const place = pathOf(variant.file, dirname(file))
    const placed = { ...variant, file: place === undefined ? variant.file : pathToFileURL(place).href }
    return {
      name: nameOf(variant, manifest),
      opponent: { manifest: { ...manifest, variants: [placed as VariantManifest] }, options: load },
      size: variant.size,
      build: null,
      accuracy: null,
    }
  })
  return { model: { name: manifest.name, file: '', bindings: manifest.bindings }, contenders, compiled: [] }
}

// A manifest has no labels. Only ONNX Runtime has two engines of one precision, and one of them is portable.
function nameOf({ backend, engine, requires }: VariantManifest, { variants }: ModelManifest): Contender['name'] {
  const alike = variants.filter((other) => other.backend === backend && other.engine === engine)
  const isPortable = alike.length > 1 && 'layout' in requires && requires.layout === 0
  return { backend, engine, label: isPortable ? 'portable' : '' }
}

async function compiledContenders(
  { model: file, precisions, options, load }: ContenderRequest,
  context: Pick<CompileContext, 'log' | 'warn'>,
): Promise<Contenders> {
  const contenders: Contender[] = []
  const compiled: Compiled[] = []
  let last: unknown
  for (const { engine, backend } of combinations(precisions, options)) {
    const wanted = forModel(options, file, { engine, backends: backend && [backend] })
    try {
      const result = await compile(file, wanted, context)
      const seconds = await buildSeconds(options)
      contenders.push(...result.variants.map((variant) => contenderOf(variant, result, { seconds, load })))
      compiled.push(result)
    } catch (error) {
      if (!(error instanceof OnnxEngineError)) throw error
      last = error
      contenders.push({ name: { backend: backend ?? 'any', engine, label: '' }, failed: error.message })
    }
  }
  const [first] = compiled
  if (!first) throw last
  const model = { name: first.name, file: first.files[0] ?? file, bindings: first.bindings }
  return { model, contenders, compiled }
}

// Backends that the user names are compiled one by one: what one of them refuses must not hide the others.
function combinations(
  precisions: readonly Precision[],
  { backends = 'auto' }: Options,
): readonly { readonly engine: Precision; readonly backend?: BackendName }[] {
  const engines = backends === 'auto' ? [] : engineBackends(backends)
  if (engines.length === 0) return precisions.map((engine) => ({ engine }))
  return precisions.flatMap((engine) => engines.map((backend) => ({ engine, backend })))
}

/** How long each engine in the cache took to build, by the digest of its key. */
async function buildSeconds(options: Options): Promise<ReadonlyMap<string, number>> {
  const { cache } = resolveOptions(options)
  const entries = await openStore({ ...cache, warn: () => {} }).list()
  return new Map(entries.map(({ digest, seconds }) => [digest, seconds]))
}

interface VariantContext {
  readonly seconds: ReadonlyMap<string, number>
  readonly load: ContenderRequest['load']
}

function contenderOf(variant: Variant, compiled: Compiled, { seconds, load }: VariantContext): Contender {
  const { backend, engine, label, artifact, cache, report } = variant
  const manifest = modelManifest({ ...compiled, variants: [variant] }, [pathToFileURL(artifact.file).href])
  return {
    name: { backend, engine, label },
    opponent: { manifest, options: load },
    size: artifact.size,
    build: { seconds: seconds.get(artifact.key.digest) ?? cache.seconds, hit: cache.hit },
    accuracy: report?.verification ? accuracyOf(report.verification) : null,
  }
}

function accuracyOf({ outputs }: { readonly outputs: readonly Accuracy[] }): Accuracy | null {
  if (outputs.length === 0) return null
  const errors = outputs.map(({ maxAbs }) => maxAbs ?? Infinity)
  const worst = Math.max(...errors)
  return { maxAbs: Number.isFinite(worst) ? worst : null, cosine: Math.min(...outputs.map(({ cosine }) => cosine)) }
}

async function plainContender({ model, options: user, load }: ContenderRequest): Promise<Contender> {
  const resolved = resolveOptions(user)
  const probe = await onnxruntime.probe(compileOptions(resolved, { file: model, query: {} }), resolved.root)
  const name = { backend: 'onnxruntime-node', engine: 'fp32', label: '' } as const
  if (!probe.available) return { name, failed: probe.reason }
  const { size } = await stat(model)
  const opponent = { onnx: model, module: probe.detail.module, threads: load.threads }
  return { name, opponent, size, build: null, accuracy: null }
}
