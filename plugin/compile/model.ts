import { sep } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { sourceFacts } from '../cache/key.ts'
import { readSource } from '../cache/source.ts'
import type { Store } from '../cache/store.ts'
import { changedWhileRead, watchSources, type WatchedStore } from '../cache/watched-sources.ts'
import type { Converted } from '../convert/convert.ts'
import { findRule, modelName } from '../convert/find-rule.ts'
import type { Model } from '../onnx/model.ts'
import { trainingText } from '../onnx/training-text.ts'
import { serverFor } from '../options/build-target.ts'
import { checkShapes } from '../options/check-shapes.ts'
import { checkDefaults, checkIo } from '../options/engine-bindings.ts'
import type { CompileOptions } from '../options/schema.ts'
import { buildEngines } from './build-engines.ts'
import { chooseEngines, type PlannedEngine, type SkippedBackend } from './choose-engines.ts'
import { bindingsOf, type ModelJob } from './engine.ts'
import type { CompileContext, CompileRequest } from './request.ts'
import { selectModel, type SelectedModels } from './selected-model.ts'
import type { Compiled } from './variant.ts'

/**
 * The line: everything between a model's file and its engines. model.ts is the story, choose-engines.ts picks backends
 * and passes from the registries (backends.ts, passes.ts), engine.ts makes one engine, compile-graph.ts fills a miss of
 * the cache, and variant.ts and manifest.ts are the results.
 *
 * The whole story of one model: read, check, choose, key, then each engine from the cache or from its compiler.
 *
 * @throws OnnxEngineError with any build-time code; docs/errors.md lists them.
 */
export async function compileModel(request: CompileRequest, context: CompileContext): Promise<Compiled> {
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const store = watchSources(context.store)
    try {
      return await compileOnce(request, { ...context, store })
    } catch (error) {
      // A program that writes the model while it is compiled fails the build, or would put one model's engine under
      // the name of another.
      if (context.signal?.aborted || (await store.unchanged())) throw error
    }
  }
  throw changedWhileRead(request.file)
}

/** Compilations that files may spoil by changing. */
const attempts = 3

type WatchedContext = CompileContext & { readonly store: WatchedStore }

async function compileOnce(request: CompileRequest, context: WatchedContext): Promise<Compiled> {
  const { job, model, models, files, engines } = await prepareModel(request, context)
  const { name } = job
  const variants = await buildEngines(engines, models, job)
  const server = serverFor(context.target ?? 'node', request.options.backends)
  if (variants.length === 0 && !server) throw nothingBuilt(name)
  return { name, bindings: bindingsOf(model, request.options), variants, files, ...(server && { server }) }
}

/** A model that was read and checked, and the engines that the options ask for. */
export interface PreparedModel {
  readonly job: ModelJob
  /** With its optional inputs. */
  readonly model: Model
  readonly models: SelectedModels
  /** The files of the source. */
  readonly files: readonly string[]
  readonly engines: readonly PlannedEngine[]
}

/** Reads and checks a model and chooses its engines. Throws as `compileModel` does. */
export async function prepareModel(request: CompileRequest, context: WatchedContext): Promise<PreparedModel> {
  const { file, root } = request
  const name = modelName(file, request.convert)
  const converted = await convertedModel(request, context)
  const { model: read, source } = await readSource(converted?.onnx ?? file, context.store.statIndex)
  if (!(await context.store.unchanged())) throw changedWhileRead(file)
  const facts = sourceFacts(source)
  const models = await selectModel(read, { ...request, name, source: facts, context })
  const { model } = models.open
  const options = await withProfiles(model, name, request, context)
  checkShapes(options, model.bindings, name)
  if (model.training) context.warn(`${name}: ${trainingText(model.training)}`)
  checkIo(options, name)
  checkDefaults(model.bindings, options, name)
  const { engines, skipped } = await chooseEngines(models, options, { root, target: context.target ?? 'node' })
  const from = root + sep
  for (const { error, absent } of skipped) {
    if (absent) continue
    const reason = error.message.replaceAll(from, '')
    if (context.onEvent) context.onEvent({ event: 'passed-over', model: name, file, reason })
    else printOnce(context, context.log, `passed over ${reason}`)
  }
  const isForNode = context.target === undefined || context.target === 'node'
  if (isForNode && options.backends === 'auto' && !engines.some(({ backend }) => backend === 'onnxruntime'))
    printOnce(context, context.warn, withoutPortable(engines, skipped))
  const job = { name, source: facts, request: { ...request, options }, context }
  return { job, model, models, files: converted?.files ?? filesOf(read), engines }
}

// Loaded when a rule is for the file.
async function convertedModel(
  { file, convert: rules, root }: CompileRequest,
  { store, signal, log }: CompileContext,
): Promise<Converted | undefined> {
  if (!findRule(file, rules)) return undefined
  const { convert } = await import('../convert/convert.ts')
  return convert({ file, rules, root, store, signal, log })
}

/** The options, with the profiles that the samples tell. */
async function withProfiles(
  model: Model,
  name: string,
  { options, root }: CompileRequest,
  { store, signal }: CompileContext,
): Promise<CompileOptions> {
  if (options.profiles !== 'auto') return options
  const { profilesFromSamples } = await import('../samples/profiles.ts')
  return { ...options, profiles: await profilesFromSamples({ name, model, options, root, store, signal }) }
}

/** The error of a model that `'auto'` could make no engine of. */
export function nothingBuilt(name: string): OnnxEngineError {
  const hint = 'The warnings above say why'
  return new OnnxEngineError('COMPILE_FAILED', `${name}: no backend could compile the model`, { hint })
}

const printedLines = new WeakMap<Store, Set<string>>()

// Other engines depend on one library, one device or one instruction set.
export function withoutPortable(
  engines: readonly Pick<PlannedEngine, 'backend'>[],
  skipped: readonly Pick<SkippedBackend, 'backend' | 'error'>[],
): string {
  const names = new Set(engines.map(({ backend }) => backend))
  const reason = skipped.find(({ backend }) => backend === 'onnxruntime')?.error.message
  return `the build has engines of ${[...names].join(' and ')} alone, which most machines cannot run: ${reason}`
}

// A library that this machine lacks is missing for every model of a build.
function printOnce({ store }: { store: WatchedStore }, print: (line: string) => void, line: string): void {
  const lines = printedLines.get(store.watched) ?? new Set()
  printedLines.set(store.watched, lines)
  if (!lines.has(line)) print(line)
  lines.add(line)
}

function filesOf({ file, external }: Model): readonly string[] {
  return [...new Set([file, ...external.map((range) => range.file)])]
}
