import { resolve, sep, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RspackPluginInstance, Compiler, NormalModule, Compilation, ResolveData, RspackError } from '@rspack/core'
import { foreignQuery, modelFilter } from '../options/query.ts'
import type { Options } from '../options/types.ts'
import { atImporter } from '../project/importer-error.ts'
import { importFilter } from './context.ts'
import { pluginHooks } from './hooks.ts'
import type { RspackLoader } from './rspack-loader.mts'
import { hasPersistentCache } from './webpack.ts'

/**
 * The plugin for Rspack. A hook on its resolver is called across threads for every module of an app, which doubles the
 * time of a large build: so the first pass leaves resolving to Rspack itself, and sees only the models, by a rule. What
 * Rspack alone does not find or may not look into, such as a model past the `exports` of its package, fails that pass;
 * then a second one asks us for every import, and either finds all models or says what is wrong. Watchers and builds
 * with a cache on disk, which see a part of the modules, start with that one.
 */
export function rspackPlugin(options: Options | undefined): RspackPluginInstance {
  return {
    apply(compiler) {
      const plugin = pluginHooks(options, {
        framework: 'rspack',
        versions: {},
        rspack: { compiler },
      }) as unknown as Plugin
      const { name } = plugin
      const build: Build = {
        compiler,
        plugin,
        asks: hasPersistentCache(compiler.options),
        loaded: new Set(),
        failures: new Map(),
        issuers: new Map(),
      }

      const use = [{ loader: loaderFile, options: { load: (loader: RspackLoader) => loadModel(build, loader) } }]
      const rule = { enforce: 'post', type: 'javascript/auto', use } as const
      compiler.options.module.rules.push(
        { ...rule, test: /\.onnx$/, resourceQuery: { not: foreignQuery } },
        { ...rule, resourceQuery: markedQuery },
      )
      plugin.rspack(compiler)

      compiler.hooks.watchRun.tap(name, () => {
        build.asks = true
      })
      compiler.hooks.make.tap(name, () => {
        build.loaded.clear()
        plugin.buildStart()
      })
      compiler.hooks.compilation.tap(name, (compilation, { normalModuleFactory }) => {
        if (build.asks) normalModuleFactory.hooks.resolve.tapPromise(name, (data) => ask(build, compilation, data))
        else if (compilation.compiler === compiler)
          compilation.hooks.needAdditionalPass.tap(name, () => failed(build, compilation))
      })
      compiler.hooks.shouldEmit.tap(name, (compilation) =>
        !build.asks && concernsModels(compilation) ? false : undefined,
      )
      compiler.hooks.thisCompilation.tap(name, (compilation) => {
        compilation.hooks.processAssets.tapPromise(
          { name, stage: compiler.rspack.Compilation.PROCESS_ASSETS_STAGE_ADDITIONAL },
          async () => {
            if (build.asks) build.failures.clear()
            else if (!concernsModels(compilation)) await declare(build, compilation)
            const [error] = compilation.errors
            await plugin.buildEnd.call(contextOf(build, compilation), error)
          },
        )
      })
      compiler.hooks.afterEmit.tapPromise(name, () => plugin.writeBundle())
    },
  }
}

/** What is used of the plugin for every bundler. */
interface Plugin {
  readonly name: string
  readonly resolveId: { handler(this: object, id: string, importer: string | undefined): Promise<string | undefined> }
  readonly load: { handler(this: object, id: string): Promise<{ readonly code: string } | undefined> }
  rspack(compiler: Compiler): void
  buildStart(): void
  buildEnd(error?: unknown): Promise<void>
  writeBundle(): Promise<void>
}

interface Build {
  readonly compiler: Compiler
  readonly plugin: Plugin
  /** Whether this pass asks us for every import. */
  asks: boolean
  /** The models of this pass. */
  readonly loaded: Set<NormalModule>
  /** What the first pass could not load, by id: it is not compiled again only to tell who imports it. */
  readonly failures: Map<string, unknown>
  readonly issuers: Map<string, string>
}

const loaderFile = fileURLToPath(new URL('./rspack-loader.mjs', import.meta.url))

// In the query of a model that was asked for: its id, as a path from the context.
const mark = 'unplugin-onnx'

const markedQuery = /^\?unplugin-onnx=/

// What Rspack writes before a character of a path that means something else in a request.
const escape = '\u200B'

async function loadModel(build: Build, loader: RspackLoader): Promise<string | undefined> {
  const { compiler, plugin, failures, issuers } = build
  const { _module: module, _compilation: compilation } = loader as unknown as {
    readonly _module: NormalModule
    readonly _compilation: Compilation
  }
  const context = contextOf(build, compilation, loader)
  const asked = new URLSearchParams(loader.resourceQuery).get(mark)
  const id =
    asked === null ? loader.resource.replaceAll(escape, '') : resolve(compiler.context, asked).split(sep).join('/')
  if (failures.has(id)) throw atImporter(failures.get(id), issuers.get(id), compiler.context)
  build.loaded.add(module)
  // Options, libraries and CPUs change from process to process; our own cache knows them all.
  if (hasPersistentCache(compiler.options)) loader.cacheable(false)
  try {
    const canonical = asked === null ? await plugin.resolveId.handler.call(context, id, undefined) : id
    // Other spellings of one import stand for one model.
    if (canonical !== undefined && canonical !== id) return `export { default } from ${JSON.stringify(canonical)}`
    return (await plugin.load.handler.call(context, id))?.code
  } catch (error) {
    if (!build.asks) failures.set(id, error)
    throw error
  }
}

async function ask(build: Build, compilation: Compilation, data: ResolveData): Promise<void> {
  if (!importFilter.test(data.request)) return
  const { issuer } = data.contextInfo
  const id = await build.plugin.resolveId.handler.call(contextOf(build, compilation), data.request, issuer || undefined)
  if (id === undefined) return
  build.issuers.set(id, issuer)
  // Not the model's own path, whose real one may be called otherwise, and in which a '#' would mean something else.
  data.request = `${loaderFile}?${mark}=${encodeURIComponent(relative(build.compiler.context, id))}`
}

/** Whether the first pass needs a second one. */
function failed(build: Build, compilation: Compilation): true | undefined {
  if (!concernsModels(compilation)) return undefined
  // An incremental build looks only at these again.
  build.compiler.modifiedFiles = new Set(
    [...compilation.errors].flatMap(({ module }) => (module && 'resource' in module ? [String(module.resource)] : [])),
  )
  compilation.errors.splice(0)
  build.asks = true
  return true
}

// Of the list of errors only its iterator can be relied on: methods such as some() see an empty array.
function concernsModels(compilation: Compilation): boolean {
  return [...compilation.errors].some(
    ({ message, module }: RspackError) =>
      message.includes('.onnx') ||
      (module instanceof Object && 'rawRequest' in module && modelFilter.test(String(module.rawRequest))),
  )
}

/** Declares types for the text of each import, which after a pass that did not ask only the finished graph tells. */
async function declare(build: Build, compilation: Compilation): Promise<void> {
  for (const module of build.loaded) {
    const context = { ...contextOf(build, compilation), resolve: async () => ({ id: module.resource }) }
    for (const { originModule, dependency } of compilation.moduleGraph.getIncomingConnections(module)) {
      if (!originModule || !('resource' in originModule) || !('request' in dependency)) continue
      await build.plugin.resolveId.handler.call(context, String(dependency.request), String(originModule.resource))
    }
  }
}

/** The context that hooks of the plugin for every bundler expect. */
function contextOf({ compiler }: Build, compilation: Compilation, loaderContext?: RspackLoader): object {
  return {
    addWatchFile: (file: string) => loaderContext?.addDependency(file),
    getNativeBuildContext: () => ({ framework: 'rspack', compiler, compilation, loaderContext }),
  }
}
