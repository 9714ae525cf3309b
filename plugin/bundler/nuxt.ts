import { join } from 'node:path'
import { resolveOptions } from '../options/resolve.ts'
import type { Options } from '../options/types.ts'
import { nitroModule } from './nitro.ts'
import { rollupPlugin } from './rollup-plugin.ts'
import { viteAdapter } from './vite.ts'

/** A module of Nuxt, with its options under `onnx`. Nuxt takes their type from `getOptions`. */
export interface NuxtModule {
  (this: void, inline: Options, nuxt: Nuxt): void
  getMeta(): Promise<{ readonly name: string; readonly configKey: 'onnx' }>
  getOptions(inline?: Partial<Options>, nuxt?: Nuxt): Promise<Options>
}

/** The part of Nuxt 4 that is used here. */
interface Nuxt {
  readonly options: {
    readonly rootDir: string
    readonly buildDir: string
    readonly onnx?: Options
    readonly nitro: { modules?: unknown[]; typescript?: { tsConfig?: TsConfig } }
    readonly vite: { plugins?: unknown[] }
    readonly typescript: { tsConfig?: TsConfig }
  }
}

interface TsConfig {
  readonly compilerOptions?: { readonly allowArbitraryExtensions?: boolean; readonly rootDirs?: readonly string[] }
  readonly include?: readonly string[]
}

/**
 * Models in all code of a Nuxt app that runs on the server: routes and API, which Nitro bundles, and components, which
 * Vite bundles before Nitro bundles its output again.
 */
function setUpNuxt(inline: Options, nuxt: Nuxt): void {
  const { options: app } = nuxt
  const options = { root: app.rootDir, ...app.onnx, ...inline }
  app.nitro.modules = [...(app.nitro.modules ?? []), nitroModule(options)]
  app.vite.plugins = [...(app.vite.plugins ?? []), vitePlugin(options)]
  const { types } = resolveOptions(options)
  if (types === false) return
  app.typescript.tsConfig = typed(app.typescript.tsConfig, app.rootDir, types.dir)
  app.nitro.typescript = {
    ...app.nitro.typescript,
    tsConfig: typed(app.nitro.typescript?.tsConfig, app.rootDir, types.dir),
  }
}

export const nuxtModule: NuxtModule = Object.assign(setUpNuxt, {
  getMeta: async () => ({ name: 'unplugin-onnx', configKey: 'onnx' as const }),
  getOptions: async (inline?: Partial<Options>, nuxt?: Nuxt) => ({ ...nuxt?.options.onnx, ...inline }),
})

/** What docs/types.md asks of a tsconfig.json; Nuxt writes its own. */
function typed(config: TsConfig = {}, root: string, types: string): TsConfig {
  const { compilerOptions = {}, include = [] } = config
  const rootDirs = [...(compilerOptions.rootDirs ?? [root]), join(types, 'types')]
  return {
    ...config,
    compilerOptions: { ...compilerOptions, allowArbitraryExtensions: true, rootDirs },
    include: [...include, join(types, '**/*')],
  }
}

/** Vite's plugin, which in builds leaves models to the bundler that comes after it: that one writes the output. */
function vitePlugin(options: Options): object {
  const plugin = rollupPlugin('vite', viteAdapter)(options) as unknown as VitePlugin
  const { resolveId } = plugin
  return {
    ...plugin,
    resolveId: {
      ...resolveId,
      async handler(this: ViteContext, id: string, importer: string | undefined) {
        const resolved = await resolveId.handler.call(this, id, importer)
        const { name, mode } = this.environment
        if (typeof resolved !== 'string' || name === 'client' || mode !== 'build') return resolved
        return { id: resolved, external: 'absolute' }
      },
    },
  }
}

interface VitePlugin {
  readonly resolveId: { handler(this: object, id: string, importer: string | undefined): Promise<unknown> }
}

interface ViteContext {
  readonly environment: { readonly name: string; readonly mode: string }
}
