import { resolve } from 'node:path'
import type { Connect, ResolvedConfig } from 'vite'
import { cachedEngine } from '../emit/asset.ts'
import { rollupAssets } from '../emit/rollup.ts'
import { slimRuntime } from '../emit/runtime-package.ts'
import { modelPackages, neededPackages } from '../imports/model-packages.ts'
import type { Side } from '../options/build-target.ts'
import type { Logger } from '../project/logger.ts'
import type { Project } from '../project/project.ts'
import { isInteractive } from '../terminal/live.ts'
import type { BundlerAdapter, Refusal } from './adapter.ts'
import { contextLogger, runtimeOf } from './context.ts'
import { quotedNames } from './external-packages.ts'
import { checkedHooks, rollupResolver } from './rollup.ts'
import { type SvelteKitHooks, svelteKitHooks } from './svelte-kit.ts'
import { preloadRefusal, sideOfBuild } from './target.ts'
import { isolation, type ServedFiles, servedFiles } from './vite-server.ts'
import { viewOfBuild } from './vite-view.ts'

/** Vite and Vitest: builds as in Rollup, and servers, which write no bundle. */
export function viteAdapter(project: Project): BundlerAdapter {
  const sideOf = (context: object): Side => sideOfBuild(project, adapter, context)
  const svelteKit = svelteKitHooks(project)
  const isBundledAgain = (context: object): boolean => isMoved(svelteKit, plugins) && sideOf(context) === 'node'
  const assets = rollupAssets(() => project.options.assetsDir, project.writesTo, sideOf, isBundledAgain)
  const served = servedFiles(() => project.options.web)
  let isServer = false
  let plugins: readonly string[] = []
  let viteLogger: Logger | undefined
  let bundled: Promise<readonly string[]> | undefined
  const packagesToBundle = (root = process.cwd()) => (bundled ??= packagesWithModels(resolve(root)))
  const adapter: BundlerAdapter = {
    engineCode(context, asset) {
      if (!isServer) return assets.engine(asset)
      return sideOf(context) === 'browser' ? served.engine(asset) : cachedEngine(asset)
    },
    resolver: rollupResolver,
    resolveRuntime: (side) => runtimeOf(project, side, !isServer),
    logger: (context) => viteLogger ?? contextLogger(context),
    side: ({ environment }: { environment?: ViteEnvironment }) =>
      environment ? sideOfEnvironment(environment, plugins) : 'node',
    refusal(context: { environment?: ViteEnvironment }) {
      if (plugins.some((plugin) => electronPreload.test(plugin))) return preloadRefusal
      const { environment } = context
      if (!environment || sideOf(context) !== 'node') return undefined
      return svelteKit.refusal() ?? refusalOf(environment, plugins)
    },
    isPartial: () => isServer,
    hooks: {
      vite: {
        ...checkedHooks(assets, project, bundleInVite),
        async config({ root }) {
          // Its headers are needed before the root is final.
          project.moveTo(resolve(root ?? '.'))
          const packages = await packagesToBundle(root)
          return {
            ssr: { noExternal: [...packages] },
            // One copy of the runtime: that of the generated modules, which Vite serves as it is. And Vite bundles
            // dependencies in advance without plugins.
            optimizeDeps: { exclude: ['unplugin-onnx', slimRuntime, ...packages] },
            ...isolation(project.options.web),
          }
        },
        async configEnvironment(name, { consumer = name === 'client' ? 'client' : 'server' }) {
          if (consumer === 'client') return undefined
          return { resolve: { noExternal: [...(await packagesToBundle())] } }
        },
        configResolved(config) {
          const { command, root, base } = config
          project.moveTo(root)
          isServer = command === 'serve'
          served.base = base
          plugins = config.plugins.map(({ name }) => name)
          svelteKit.configResolved(plugins, config.define)
          viteLogger = loggerOf(config)
        },
        closeBundle: svelteKit.closeBundle(assets),
        configureServer: ({ middlewares }) => void serveAll(middlewares, served, project),
      },
    },
  }
  return adapter
}

function serveAll(middlewares: Connect.Server, served: ServedFiles, project: Project): void {
  middlewares.use(served.respond)
  middlewares.use(`${served.base}__onnx`, viewOfBuild(project))
}

function loggerOf({ logger, logLevel = 'info' }: ResolvedConfig): Logger {
  const isLive = logLevel === 'info' && isInteractive(process.stderr)
  return { log: (line) => logger.info(line), warn: (line) => logger.warn(line), isLive }
}

// Vite leaves packages to Node.js in code for servers, which cannot load those that import a model.
async function packagesWithModels(root: string): Promise<readonly string[]> {
  const found = await modelPackages(neededPackages(root), root)
  return [...new Set(found.flatMap(({ chain }) => chain))]
}

function bundleInVite(names: readonly string[]): string {
  return `Add ssr: { noExternal: [${quotedNames(names)}] } to the configuration of Vite, or remove them from 'external'`
}

/** The part of an environment of Vite that shows where its code will run. */
interface ViteEnvironment {
  readonly name: string
  readonly config: {
    readonly consumer: string
    readonly resolve: { readonly conditions: readonly string[] }
    readonly build: { readonly lib: unknown }
  }
}

function sideOfEnvironment({ config }: ViteEnvironment, plugins: readonly string[]): Side {
  if (plugins.some((plugin) => electronWindow.test(plugin))) return 'browser'
  if (config.resolve.conditions.includes('node') || testsInNode(plugins)) return 'node'
  // The main process of Electron is built as a library in the environment 'client'.
  return config.consumer === 'client' && !config.build.lib ? 'browser' : 'node'
}

function refusalOf({ name, config }: ViteEnvironment, plugins: readonly string[]): Refusal | undefined {
  const { conditions } = config.resolve
  if (conditions.includes('node') || testsInNode(plugins) || config.consumer === 'client') return undefined
  const foreign = conditions.find((condition) => foreignRuntimes.has(condition))
  if (foreign === undefined) return undefined
  return {
    subject: `the environment '${name}' of Vite`,
    expected: `the condition 'node' in 'resolve.conditions'`,
    received: `'${foreign}', of a runtime that loads no native code`,
    hint: 'Import models in code that runs in Node.js, such as a server or a function with the Node.js runtime',
  }
}

// Names of the plugins that electron-vite, Electron Forge and vite-plugin-electron-renderer add to builds of windows
// and of preload scripts, and to no other builds.
const electronWindow = /electron.*renderer/
const electronPreload = /electron.*preload/

// Nitro 3 as a plugin of Vite bundles the code of a framework's server again, into folders of its own.
function isMoved(svelteKit: SvelteKitHooks, plugins: readonly string[]): boolean {
  return svelteKit.isBundledAgain() || plugins.includes('nitro:main')
}

// Conditions of edge runtimes; Vite sets 'browser' for `ssr.target: 'webworker'`.
const foreignRuntimes: ReadonlySet<string> = new Set(['browser', 'edge-light', 'worker', 'workerd'])

// Vitest runs tests for a simulated browser in the environment 'client', but in Node.js. Only its browser mode uses a
// browser.
function testsInNode(plugins: readonly string[]): boolean {
  return plugins.some((name) => /^vitest(?::|$)/.test(name)) && !plugins.includes('vitest:browser')
}
