import { modelPackages, neededPackages } from '../imports/model-packages.ts'
import { findPackage } from '../imports/package-files.ts'
import type { Options } from '../options/types.ts'
import type { AdapterFactory, Refusal } from './adapter.ts'
import { rollupPlugin } from './rollup-plugin.ts'
import { rollupAdapter } from './rollup.ts'

/** A module of Nitro 2 or 3. */
export interface NitroModule {
  readonly name: string
  setup(nitro: Nitro): Promise<void>
}

/** The part of Nitro 2 and 3 that is used here. */
export interface Nitro {
  readonly options: {
    readonly rootDir: string
    readonly dev: boolean
    readonly preset: string
    /** Whether the output runs in Node.js. */
    readonly node: boolean
    /** Packages that Nitro 2 bundles. */
    readonly externals?: { inline?: unknown[] }
    /** Packages that Nitro 3 bundles; true for all. */
    noExternals?: boolean | readonly (string | RegExp)[]
  }
  readonly hooks: { hook(name: 'rollup:before', run: (nitro: unknown, config: RollupConfig) => void): unknown }
}

interface RollupConfig {
  plugins?: unknown
}

/**
 * The module for Nitro, which bundles a server with Rollup, Rolldown or Vite and adds its own plugins. The output runs
 * without the app's node_modules: Nitro copies packages that it leaves external, but the runtime's worker and engine
 * library are not seen by its tracer on every platform, so the plugin copies them itself.
 */
export function nitroModule(options: Options = {}): NitroModule {
  return {
    name: 'unplugin-onnx',
    async setup(nitro) {
      const { rootDir, dev } = nitro.options
      bundlePackages(nitro, await packagesToBundle(rootDir))
      const plugin = rollupPlugin('rollup', nitroAdapter(nitro))({ root: rootDir, standalone: !dev, ...options })
      nitro.hooks.hook('rollup:before', (_, config) => {
        config.plugins = [plugin, config.plugins]
      })
    },
  }
}

function nitroAdapter(nitro: Nitro): AdapterFactory {
  return (project) => ({
    ...rollupAdapter(project),
    refusal: () => refusalOf(nitro),
  })
}

/**
 * Nitro leaves packages to Node.js, which cannot load those that import a model. A linked package is known by its name
 * and by its real folder.
 */
async function packagesToBundle(root: string): Promise<readonly string[]> {
  const found = await modelPackages(neededPackages(root), root)
  const names = [...new Set(found.flatMap(({ chain }) => chain))]
  return names.flatMap((name) => [name, findPackage(name, root)?.folder ?? []].flat())
}

function bundlePackages({ options }: Nitro, names: readonly string[]): void {
  if (options.externals) (options.externals.inline ??= []).push(...names)
  else if (options.noExternals !== true) options.noExternals = [...(options.noExternals || []), ...names]
}

function refusalOf({ options: { preset, node } }: Nitro): Refusal | undefined {
  if (node) return undefined
  return {
    subject: `the preset '${preset}' of Nitro`,
    expected: `a preset that runs in Node.js, such as 'node-server'`,
    received: `'${preset}', of a runtime that loads no native code`,
    hint: `Build with another preset, such as NITRO_PRESET=node-server`,
  }
}
