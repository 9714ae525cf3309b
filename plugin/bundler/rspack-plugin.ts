import { resolve, sep, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RspackPluginInstance, Compiler, NormalModule, Compilation, ResolveData, RspackError } from '@rspack/core'
import { foreignQuery } from '../options/query.ts'
import type { Options } from '../options/types.ts'
import { atImporter } from '../project/importer-error.ts'
import type { RuntimeImport } from './adapter.ts'
import { type ModuleFilters, userFilters } from './context.ts'
import { pluginHooks } from './hooks.ts'
import type { RspackLoader } from './rspack-loader.mts'
import { hasPersistentCache } from './webpack-compiler.ts'
import { webpackAdapter } from './webpack.ts'

/**
 * The plugin for Rspack. A hook on its resolver is called across threads for every module of an app, which doubles the
 * time of a large build. So the first pass leaves resolving to Rspack, and a rule hands only models to this plugin. A
 * model that Rspack alone does not find or may not access, such as one past the `exports` of its package, fails that
 * pass; then a second pass hands every import to this plugin, and either finds all models or reports what is wrong.
 * Watchers and builds with a cache on disk, which see only some modules, start with the second kind of pass.
 */
export function rspackPlugin(options: Options | undefined): RspackPluginInstance {
  return {
    apply(compiler) {
      const plugin = pluginHooks(options, webpackAdapter) as unknown as Plugin
      const { name } = plugin
      const filters = userFilters(options)
      const build: Build = {
        compiler,
        plugin,
        filters,
        resolvesImports: hasPersistentCache(compiler.options),
        loaded: new Set(),
        failures: new Map(),
        issuers: new Map(),
      }

      const use = [{ loader: loaderFile, options: { load: (loader: RspackLoader) => loadModel(build, loader) } }]
      const rule = { enforce: 'post', type: 'javascript/auto', use } as const
      compiler.options.module.rules.push(
        { ...rule, test: filters.models, resourceQuery: { not: foreignQuery } },
        { ...rule, resourceQuery: markedQuery },
      )
      plugin.rspack(compiler)

      compiler.hooks.watchRun.tap(name, () => {
        build.resolvesImports = true
      })
      compiler.hooks.make.tap(name, () => {
        build.loaded.clear()
        plugin.buildStart()
      })
      compiler.hooks.compilation.tap(name, (compilation, { normalModuleFactory }) => {
        if (build.resolvesImports)
          normalModuleFactory.hooks.resolve.tapPromise(name, (data) => resolveImport(build, compilation, data))
        else if (compilation.compiler === compiler)
          compilation.hooks.needAdditionalPass.tap(name, () => needsSecondPass(build, compilation))
      })
      compiler.hooks.shouldEmit.tap(name, (compilation) =>
        !build.resolvesImports && concernsModels(build, compilation) ? false : undefined,
      )
      compiler.hooks.thisCompilation.tap(name, (compilation) => {
        compilation.hooks.processAssets.tapPromise(
          { name, stage: compiler.rspack.Compilation.PROCESS_ASSETS_STAGE_ADDITIONAL },
          async () => {
            if (build.resolvesImports) build.failures.clear()
            else if (!concernsModels(build, compilation)) await declareImports(build, compilation)
            const [error] = compilation.errors
            await plugin.buildEnd.call(contextOf(build, compilation), error)
          },
        )
      })
      compiler.hooks.afterEmit.tapPromise(name, () => plugin.writeBundle())
    },
  }
}

/** The hooks that this file calls. */
interface Plugin {
  readonly name: string
  readonly resolveId: {
    handler(this: object, id: string, importer: string | undefined): Promise<string | RuntimeImport | undefined>
  }
  readonly load: { handler(this: object, id: string): Promise<{ readonly code: string } | undefined> }
  rspack(compiler: Compiler): void
  buildStart(): void
  buildEnd(error?: unknown): Promise<void>
  writeBundle(): Promise<void>
}

interface Build {
  readonly compiler: Compiler
  readonly plugin: Plugin
  readonly filters: ModuleFilters
  /** Whether every import of this pass is handed to this plugin. */
  resolvesImports: boolean
  /** The models of this pass. */
  readonly loaded: Set<NormalModule>
  /** Errors of the first pass, by id: a model is not compiled again only to find its importer. */
  readonly failures: Map<string, unknown>
  readonly issuers: Map<string, string>
}

const loaderFile = fileURLToPath(new URL('./rspack-loader.mjs', import.meta.url))

// The query key of a model that this plugin resolved. Its value is the id, as a path from the context.
const mark = 'unplugin-onnx'

const markedQuery = /^\?unplugin-onnx=/

// Rspack writes it before a character of a path that has a meaning in a request.
const escape = '\u200B'

async function loadModel(build: Build, loader: RspackLoader): Promise<string | undefined> {
  const { compiler, plugin, failures, issuers } = build
  const { _module: module, _compilation: compilation } = loader as unknown as {
    readonly _module: NormalModule
    readonly _compilation: Compilation
  }
  const context = contextOf(build, compilation, { loader })
  const resolved = new URLSearchParams(loader.resourceQuery).get(mark)
  const id =
    resolved === null
      ? loader.resource.replaceAll(escape, '')
      : resolve(compiler.context, resolved).split(sep).join('/')
  if (failures.has(id)) throw atImporter(failures.get(id), issuers.get(id), compiler.context)
  build.loaded.add(module)
  // Options, libraries and CPUs change from process to process; the keys of our own cache contain them all.
  if (hasPersistentCache(compiler.options)) loader.cacheable(false)
  try {
    const canonical = resolved === null ? await plugin.resolveId.handler.call(context, id, undefined) : id
    // Other spellings of one import mean one model.
    if (canonical !== undefined && canonical !== id) return `export { default } from ${JSON.stringify(canonical)}`
    return (await plugin.load.handler.call(context, id))?.code
  } catch (error) {
    if (!build.resolvesImports) failures.set(id, error)
    throw error
  }
}

async function resolveImport(build: Build, compilation: Compilation, data: ResolveData): Promise<void> {
  if (!build.filters.imports.test(data.request)) return
  const { issuer } = data.contextInfo
  const id = await build.plugin.resolveId.handler.call(contextOf(build, compilation), data.request, issuer || undefined)
  if (id === undefined) return
  if (typeof id === 'object') {
    data.request = id.id
    return
  }
  build.issuers.set(id, issuer)
  // Not the model's own path: its real path may have another name, and a '#' in it would have a meaning.
  data.request = `${loaderFile}?${mark}=${encodeURIComponent(relative(build.compiler.context, id))}`
}

/** Whether a second pass is needed; prepares it. */
function needsSecondPass(build: Build, compilation: Compilation): true | undefined {
  if (!concernsModels(build, compilation)) return undefined
  // An incremental build processes only these again.
  build.compiler.modifiedFiles = new Set(
    [...compilation.errors].flatMap(({ module }) => (module && 'resource' in module ? [String(module.resource)] : [])),
  )
  compilation.errors.splice(0)
  build.resolvesImports = true
  return true
}

// Only the iterator of the list of errors works: methods such as some() see an empty array.
function concernsModels({ filters }: Build, compilation: Compilation): boolean {
  return [...compilation.errors].some(
    ({ message, module }: RspackError) =>
      message.includes('.onnx') ||
      (module instanceof Object && 'rawRequest' in module && filters.models.test(String(module.rawRequest))),
  )
}

/** Declares types for the text of each import, which only the finished graph has after a first pass. */
async function declareImports(build: Build, compilation: Compilation): Promise<void> {
  for (const module of build.loaded) {
    const context = contextOf(build, compilation, { resolved: module.resource })
    for (const { originModule, dependency } of compilation.moduleGraph.getIncomingConnections(module)) {
      if (!originModule || !('resource' in originModule) || !('request' in dependency)) continue
      await build.plugin.resolveId.handler.call(context, String(dependency.request), String(originModule.resource))
    }
  }
}

/** The context that the hooks expect: during a loader's call, or for an import that Rspack has `resolved`. */
function contextOf(
  { compiler }: Build,
  compilation: Compilation,
  { loader, resolved }: { readonly loader?: RspackLoader; readonly resolved?: string } = {},
): object {
  return {
    addWatchFile: (file: string) => loader?.addDependency(file),
    getNativeBuildContext: () => ({ framework: 'rspack', compiler, compilation, loaderContext: loader, resolved }),
  }
}
