import { existsSync } from 'node:fs'
import { isAbsolute, relative } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Bindings, BackendName } from '../../runtime/manifest.ts'
import type { Store } from '../cache/store.ts'
import type { Compiled } from '../compile/variant.ts'
import type { ModelImport } from '../imports/model-import.ts'
import { type ImportSite, resolveModel } from '../imports/resolve.ts'
import { type ModelRequest, parseRequest, requestKey } from '../options/query.ts'
import { resolveOptions, compileOptions, unusedGlobs } from '../options/resolve.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import type { Options } from '../options/types.ts'
import { shorten } from '../text.ts'
import type { TypesReport } from '../types/write.ts'
import { atImporter } from './importer-error.ts'

/** Where a project's lines go. */
export interface Logger {
  log(line: string): void
  warn(line: string): void
}

/** What a project needs of the bundler that loads a model. */
export interface LoadHook extends Logger {
  /** Told every file that the engines are made of. */
  watch(file: string): void
  /** Throws when no model can run in this build: told the model's file before it is read. */
  check(file: string): void
}

/** What one plugin instance knows of the app that it builds, between its hooks. */
export interface Project {
  readonly options: ResolvedOptions
  /** Reads the options again from the bundler's root, which some bundlers tell late. */
  moveTo(root: string): void
  /**
   * The id of the module that stands for an imported model, the same for every spelling; undefined for what is not
   * ours.
   */
  resolve(specifier: string, importer: string | undefined, ask: ImportSite['ask']): Promise<string | undefined>
  /** The engines of the model with that id; undefined for what is not ours. */
  compile(id: string, hook: LoadHook): Promise<Compiled | undefined>
  buildStart(): void
  /**
   * Cancels what is still compiling, because the build has failed or its server is closing, and waits for the types.
   * Only a build that is `whole`, in which every import was seen, can tell which options no model has used.
   */
  buildEnd(logger: Logger, whole: boolean): Promise<void>
  /**
   * Tells a folder that the bundler writes to; undefined when it keeps its output in memory, which `standalone` cannot.
   * Throws OPTION_INVALID.
   */
  writesTo(folder: string | undefined): void
  /** Makes the written folders run alone, if they are to, and keeps the cache within its limits. */
  written(): Promise<void>
}

/**
 * Throws OPTION_INVALID. Nothing is read or written before a model is imported, and the compiler's own modules are
 * loaded then: a build without models does not wait for them.
 */
export function openProject(user: Options | undefined): Project {
  let options = resolveOptions(user)
  let store: Store | undefined
  let running = new AbortController()
  let builds = 0
  const importers = new Map<string, string>()
  const declared = new Map<string, Map<string, ModelImport>>()
  const known = new Map<string, Bindings>()
  const reports = new Set<Promise<TypesReport>>()
  const outputs = new Set<string>()
  const standing = new Set<string>()
  const backends = new Set<BackendName>()
  const told = new Set<string>()
  let failed = false
  let last: Logger = console

  function warnOnce(lines: readonly string[], logger: Logger): void {
    for (const line of lines) if (!told.has(line)) logger.warn(line)
    for (const line of lines) told.add(line)
  }

  function remember(id: string, specifier: string, importer: string, request: ModelRequest): void {
    // Bundlers also resolve what they have resolved before; nobody writes absolute paths of this machine.
    if (isAbsolute(specifier) && existsSync(specifier.split('?', 1)[0] ?? '')) return
    const {
      shapes,
      precision: { io },
    } = compileOptions(options, request)
    const item = { importer, specifier, file: request.file, shapes, io }
    const items = declared.get(id) ?? new Map<string, ModelImport>()
    declared.set(id, items.set(JSON.stringify([importer, specifier]), item))
    const bindings = known.get(id)
    if (bindings !== undefined) declare({ ...item, bindings })
  }

  function declareAll(id: string, bindings?: Bindings): void {
    for (const item of declared.get(id)?.values() ?? []) declare({ ...item, ...(bindings && { bindings }) })
  }

  function declare(item: ModelImport): void {
    if (options.types === false) return
    const folder = { root: options.root, dir: options.types.dir }
    const report = import('../types/write.ts').then(({ recordImport }) => recordImport(folder, item))
    // Awaited at the end of the build, which may be long after it has failed.
    report.catch(() => {})
    reports.add(report)
  }

  return {
    get options() {
      return options
    },
    moveTo(root) {
      options = resolveOptions(user, root)
    },
    async resolve(specifier, importer, ask) {
      try {
        const request = parseRequest(specifier)
        const file = request && (await resolveModel(request.file, { importer, root: options.root, ask }))
        if (request === undefined || file === undefined) return undefined
        const resolved = { ...request, file }
        const text = requestKey(resolved)
        // Never the bare path: webpack would read the whole file before it asks for the module.
        const id = text === file ? `${text}?engine` : text
        if (importer !== undefined) {
          importers.set(id, importer)
          remember(id, specifier, importer, resolved)
        }
        return id
      } catch (error) {
        throw atImporter(error, importer, options.root)
      }
    },
    async compile(id, { watch, check, ...logger }) {
      const request = parseRequest(id)
      if (request === undefined) return undefined
      const { file } = request
      last = logger
      // Before anything can fail, so that a repaired file is tried again.
      watch(file)
      // A hit tells the bindings at once, so that the model is read once; types do not wait for a long compilation.
      const early = setTimeout(declareAll, 1000, id)
      try {
        check(file)
        const [{ openStore }, { compileModel }] = await Promise.all([
          import('../cache/store.ts'),
          import('../compile/model.ts'),
        ])
        store ??= openStore({ ...options.cache, warn: logger.warn })
        const compiled = await compileModel(
          {
            file,
            query: requestKey({ ...request, file: '' }),
            options: compileOptions(options, request),
            root: options.root,
          },
          { ...logger, store, verbose: options.verbose, signal: running.signal },
        )
        for (const part of compiled.files) watch(part)
        known.set(id, compiled.bindings)
        for (const { backend } of compiled.variants) backends.add(backend)
        declareAll(id, compiled.bindings)
        return compiled
      } catch (error) {
        failed = true
        declareAll(id)
        throw atImporter(error, importers.get(id), options.root)
      } finally {
        clearTimeout(early)
      }
    },
    buildStart() {
      builds += 1
      failed = false
    },
    async buildEnd(logger, whole) {
      builds = Math.max(0, builds - 1)
      // One instance may serve several environments at once: the last one out cancels.
      if (builds === 0) {
        running.abort()
        running = new AbortController()
      }
      const waiting = [...reports]
      reports.clear()
      const lines = (await Promise.all(waiting)).flatMap(({ problems, notes }) => [
        ...problems.map(({ message }) => message),
        ...notes,
      ])
      for (const line of new Set(lines)) logger.warn(line)
      if (!whole || failed || known.size === 0) return
      const files = [...known.keys()].map((id) => id.split('?', 1)[0] ?? '')
      const named = [...new Set(files)].map((file) => relative(options.root, file)).join(', ')
      // Once by a watcher, not after each change.
      warnOnce(
        unusedGlobs(options, files).map(
          (path) =>
            `option '${path}': no model that this build imports is matched by it. Imported are ${shorten(named, 300)}`,
        ),
        logger,
      )
    },
    writesTo(folder) {
      if (folder !== undefined) outputs.add(folder)
      else if (options.standalone)
        throw new OnnxEngineError('OPTION_INVALID', `option 'standalone'`, {
          expected: 'a build that writes its output into a folder',
          received: 'one that keeps it in memory',
        })
    },
    async written() {
      const alone = options.standalone && known.size > 0 ? [...outputs].filter((output) => !standing.has(output)) : []
      for (const output of alone) {
        const { copyRuntime } = await import('../emit/standalone.ts')
        warnOnce(await copyRuntime(output, options.root, backends), last)
        // A watcher writes often, but the packages stay the same.
        standing.add(output)
      }
      await store?.collect()
    },
  }
}
