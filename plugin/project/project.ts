/**
 * What one instance of the plugin remembers of an app between the hooks of a bundler. This room knows no bundler:
 * bundler/ calls it. project.ts resolves and compiles imports, state.ts is its memory, current-options.ts the options,
 * typed-imports.ts writes types, outputs.ts serves the option `standalone`, importer-error.ts adds the importing file
 * to errors.
 */
import { existsSync } from 'node:fs'
import { isAbsolute, relative } from 'node:path'
import type { LiveEvent } from '../compile/events.ts'
import type { Compiled } from '../compile/variant.ts'
import { typedOptions } from '../imports/model-import.ts'
import { type ImportSite, resolveModel } from '../imports/resolve.ts'
import { type Side, targetOf } from '../options/build-target.ts'
import { type ModelId, modelFilterOf, modelId, parseRequest, queryText } from '../options/query.ts'
import { compileOptions, unusedGlobs } from '../options/resolve.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import { schemeOf } from '../options/served-variant.ts'
import type { Options } from '../options/types.ts'
import { shorten } from '../text.ts'
import type { CurrentOptions } from './current-options.ts'
import { atImporter } from './importer-error.ts'
import type { Logger } from './logger.ts'
import { openState, type ProjectState, warnOnce } from './state.ts'

/** What a project needs from the bundler that loads a model. */
export interface LoadHook extends Logger {
  /** Called with each file that the engines depend on. */
  watch(file: string): void
  /** Called with the model's file before it is read; throws if no model can run in this build. */
  check(file: string): void
  /** Where the output of this build runs. */
  readonly side: Side
  /** Whether a server loads modules one by one, and no build ends. */
  readonly isServed?: boolean | undefined
}

export interface Project {
  readonly options: ResolvedOptions
  readonly moveTo: CurrentOptions['moveTo']
  /**
   * The id of the module that represents an imported model, the same for every spelling; undefined for other imports.
   * `resolveImport` is the bundler's resolver.
   */
  resolve(
    specifier: string,
    importer: string | undefined,
    resolveImport: ImportSite['resolveImport'],
  ): Promise<string | undefined>
  /** The engines of the model with that id; undefined for other modules. */
  compile(id: string, hook: LoadHook): Promise<Compiled | undefined>
  /** Calls `listener` with all that builds do from now on. */
  follow(listener: (event: LiveEvent) => void): void
  buildStart(): void
  /**
   * Cancels compilations that still run, because the build has failed or its server closes, and waits for the types.
   * `isComplete`: the build has seen every import, so options that match no model can be reported.
   */
  buildEnd(logger: Logger, isComplete: boolean): Promise<void>
  /**
   * Registers a folder that the bundler writes to; undefined if the output stays in memory, which `standalone` refuses.
   * Throws OPTION_INVALID.
   */
  writesTo(folder: string | undefined): void
  /** Called when the output is written: makes it able to run alone if `standalone` is set, and limits the cache. */
  written(): Promise<void>
}

/**
 * Throws OPTION_INVALID. Nothing is read or written before a model is imported, and the compiler's own modules are
 * loaded at that time: a build without models does not wait for them.
 */
export function openProject(user: Options | undefined): Project {
  const state = openState(user)
  return {
    get options() {
      return state.options
    },
    moveTo: state.current.moveTo,
    resolve: (specifier, importer, resolveImport) => resolveModelId(state, specifier, { importer, resolveImport }),
    compile: (id, hook) => compileImport(state, id, hook),
    follow: (listener) => state.reporter.follow(listener),
    buildStart() {
      state.current.refresh()
      if (state.builds === 0) state.reporter.newBuild()
      state.builds += 1
      state.hasFailed = false
    },
    buildEnd: (logger, isComplete) => endBuild(state, logger, isComplete),
    writesTo: state.outputs.add,
    async written() {
      state.reporter.advise(state.logger)
      if (state.options.standalone && state.backends.size > 0)
        warnOnce(state, await state.outputs.makeStandalone(state.backends), state.logger)
      await state.store?.collect()
    },
  }
}

async function resolveModelId(
  state: ProjectState,
  specifier: string,
  { importer, resolveImport }: Omit<ImportSite, 'root'>,
): Promise<string | undefined> {
  try {
    state.current.refresh()
    const { root } = state.options
    const request = parseRequest(specifier, modelFilterOf(state.options.convert))
    const file = request && (await resolveModel(request.file, { importer, root, resolveImport }))
    if (request === undefined || file === undefined) return undefined
    const id = modelId({ ...request, file })
    // Never the bare path: webpack would read the whole file before it asks for the module.
    const text = id.text === file ? `${id.text}?engine` : id.text
    state.ids.set(text, id)
    if (importer !== undefined) {
      state.importers.set(text, importer)
      recordImport(state, text, { specifier, importer })
    }
    return text
  } catch (error) {
    throw atImporter(error, importer, state.options.root)
  }
}

function recordImport(state: ProjectState, id: string, site: { specifier: string; importer: string }): void {
  // Bundlers also resolve ids that are already resolved; nobody writes absolute paths of this machine.
  if (isAbsolute(site.specifier) && existsSync(site.specifier.split('?', 1)[0] ?? '')) return
  const request = state.ids.get(id)?.request
  if (request === undefined) return
  state.types.record(id, { ...site, file: request.file, ...typedOptions(compileOptions(state.options, request)) })
}

// Bundlers also load ids that they resolved in an earlier process, or to which they added keys of their own.
function findModelId({ ids, options }: ProjectState, text: string): ModelId | undefined {
  const known = ids.get(text)
  if (known !== undefined) return known
  const request = parseRequest(text, modelFilterOf(options.convert))
  return request && modelId(request)
}

async function compileImport(state: ProjectState, text: string, hook: LoadHook): Promise<Compiled | undefined> {
  const id = findModelId(state, text)
  if (id === undefined) return undefined
  const { file } = id.request
  const { watch, check, side, isServed = false, ...logger } = hook
  state.logger = logger
  state.reporter.begin(file)
  // Before anything can fail, so that a repaired file is tried again.
  watch(file)
  state.current.refresh()
  if (state.current.file !== undefined) watch(state.current.file)
  // A hit has the bindings at once, so the model is read once; types do not wait for a long compilation.
  const isOnnx = file.endsWith('.onnx')
  const early = isOnnx ? setTimeout(() => state.types.declare(text), 1000) : undefined
  try {
    check(file)
    const compiled = await compileModelId(state, id, { ...logger, side })
    for (const part of compiled.files) watch(part)
    state.files.add(file)
    if (side === 'node') for (const { backend } of compiled.variants) state.backends.add(backend)
    if (compiled.server) state.backends.add(schemeOf(compiled.server))
    state.types.declare(text, compiled.bindings)
    return compiled
  } catch (error) {
    state.hasFailed = true
    state.reporter.fail(file, error)
    if (isOnnx) state.types.declare(text)
    throw atImporter(error, state.importers.get(text), state.options.root)
  } finally {
    clearTimeout(early)
    state.reporter.end(logger, isServed)
  }
}

async function compileModelId(
  state: ProjectState,
  id: ModelId,
  { side, ...logger }: Pick<LoadHook, 'log' | 'warn' | 'side'>,
): Promise<Compiled> {
  const [{ openStore }, { compileModel }] = await Promise.all([
    import('../cache/store.ts'),
    import('../compile/model.ts'),
  ])
  const { options, reporter } = state
  const { file } = id.request
  const store = (state.store ??= openStore({ ...options.cache, frozen: options.frozen, warn: logger.warn }))
  return compileModel(
    {
      file,
      query: queryText(id),
      options: compileOptions(options, id.request),
      convert: options.convert,
      root: options.root,
    },
    {
      ...logger,
      ...reporter.context(logger),
      store,
      verbose: options.verbose,
      signal: state.running.signal,
      target: targetOf(side, options.web),
    },
  )
}

async function endBuild(state: ProjectState, logger: Logger, isComplete: boolean): Promise<void> {
  state.builds = Math.max(0, state.builds - 1)
  // The last environment of several cancels.
  if (state.builds === 0) {
    state.running.abort()
    state.running = new AbortController()
  }
  state.logger = logger
  await state.reporter.print(logger)
  for (const line of await state.types.finish()) logger.warn(line)
  if (!isComplete || state.hasFailed || state.files.size === 0) return
  const files = [...state.files]
  const names = files.map((file) => relative(state.options.root, file)).join(', ')
  const lines = unusedGlobs(state.options, files).map(
    (path) => `option '${path}' matches no model that this build imports. Imported models: ${shorten(names, 300)}`,
  )
  warnOnce(state, lines, logger)
}
