/**
 * The plugin as a set of hooks, for every bundler. hooks.ts is the part that all bundlers share, and adapter.ts the
 * interface of the rest: rollup.ts, vite.ts, webpack.ts, esbuild.ts, bun.ts and farm.ts implement it, and adapters.ts
 * lists them. unplugin.ts hands the hooks to unplugin; rollup-plugin.ts, rspack-plugin.ts and build-plugin.ts (esbuild,
 * Bun) run them without it. To add a bundler, add an adapter and a line to the list.
 */
import type { UnpluginOptions } from 'unplugin'
import { type EngineAsset, engineAsset } from '../emit/asset.ts'
import type { EngineCode } from '../emit/location.ts'
import { type LibraryCode, moduleText } from '../emit/module.ts'
import { webFiles } from '../emit/web-files.ts'
import type { Side } from '../options/build-target.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import type { Options } from '../options/types.ts'
import { openProject } from '../project/project.ts'
import type { AdapterFactory } from './adapter.ts'
import { moduleFilters, runtimeImports } from './context.ts'
import { isOwnQuestion, modelResolver } from './resolver.ts'
import { checkTarget, sideOfBuild } from './target.ts'

/** The hooks of the plugin in unplugin's terms. Throws OPTION_INVALID. */
export function pluginHooks(user: Options | undefined, createAdapter: AdapterFactory): UnpluginOptions {
  const project = openProject(user)
  const adapter = createAdapter(project)
  const filters = moduleFilters(project.options)
  const sideOf = (context: object): Side => sideOfBuild(project, adapter, context)
  const resolveId: UnpluginOptions['resolveId'] & { order: 'pre' } = {
    // Before aliases are resolved: types are declared for the text that the user wrote.
    order: 'pre',
    filter: { id: filters.imports },
    async handler(id, importer) {
      // Old versions of Vite and Rollup ignore filters.
      if (isOwnQuestion(id) || !filters.imports.test(id)) return undefined
      if (runtimeImports.test(id)) return adapter.resolveRuntime(id.endsWith('/web') ? 'browser' : sideOf(this))
      const from = importer === undefined ? undefined : (adapter.importerPath?.(importer) ?? importer)
      return project.resolve(id, from, modelResolver(adapter, this, from))
    },
  }
  const load: UnpluginOptions['load'] = {
    filter: { id: filters.models },
    async handler(id) {
      if (!filters.models.test(id)) return undefined
      const side = sideOf(this)
      const loading = project.compile(id, {
        ...adapter.logger(this),
        side,
        isServed: adapter.isPartial?.(),
        watch: (file) => this.addWatchFile(file),
        check: (file) => checkTarget(file, adapter.refusal(this)),
      })
      const compiled = await loading.catch((error: unknown) => {
        throw adapter.keptError ? adapter.keptError(this, error) : error
      })
      if (compiled === undefined) return undefined
      const assets = compiled.variants.map((variant) => engineAsset(compiled.name, variant))
      const codeOf = async (asset: EngineAsset, index: number) => adapter.engineCode(this, asset, index)
      const engines = await Promise.all(assets.map(codeOf))
      const web = side === 'browser' ? await libraryCode(project.options, assets.length, codeOf) : undefined
      return { code: moduleText(compiled, engines, { web }), moduleType: 'js' }
    },
  }
  return {
    name: 'unplugin-onnx',
    enforce: 'pre',
    buildStart: project.buildStart,
    // Rollup, Rolldown and Vite pass the error of a failed build.
    buildEnd(error?: unknown) {
      return project.buildEnd(adapter.logger(this), error === undefined && !adapter.isPartial?.())
    },
    writeBundle: project.written,
    resolveId,
    load,
    ...adapter.hooks,
  }
}

// Loaded when a page needs it: a build for Node.js does not wait for it.
async function libraryCode(
  options: ResolvedOptions,
  firstIndex: number,
  codeOf: (asset: EngineAsset, index: number) => Promise<EngineCode>,
): Promise<LibraryCode> {
  const { webLibrary } = await import('../emit/web-library.ts')
  const library = await webLibrary(options)
  const places = await Promise.all(
    webFiles.map(async (name, index) => [name, await codeOf(library.files[name], firstIndex + index)] as const),
  )
  return { library, places: Object.fromEntries(places) as LibraryCode['places'] }
}
