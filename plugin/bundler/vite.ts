import { cachedEngine } from '../emit/asset.ts'
import { rollupAssets } from '../emit/rollup.ts'
import type { Logger, Project } from '../project/project.ts'
import type { BundlerAdapter, Refusal } from './adapter.ts'
import { contextLogger, externalRuntime } from './context.ts'
import { rollupResolver } from './rollup.ts'
import { inElectron } from './target.ts'

/** Vite and Vitest: builds as in Rollup, and servers, which write no bundle. */
export function viteAdapter(project: Project): BundlerAdapter {
  const assets = rollupAssets(() => project.options.assetsDir, project.writesTo)
  let isServer = false
  let plugins: readonly string[] = []
  let viteLogger: Logger | undefined
  return {
    engineCode: (_, asset) => (isServer ? cachedEngine(asset) : assets.engine(asset)),
    resolver: rollupResolver,
    resolveRuntime: () => externalRuntime(!isServer),
    logger: (context) => viteLogger ?? contextLogger(context),
    refusal: ({ environment }: { environment?: ViteEnvironment }) => environment && refusalOf(environment, plugins),
    isPartial: () => isServer,
    hooks: {
      vite: {
        ...assets.hooks,
        configResolved(config) {
          const { command, root, logger } = config
          project.moveTo(root)
          isServer = command === 'serve'
          plugins = config.plugins.map(({ name }) => name)
          viteLogger = { log: (line) => logger.info(line), warn: (line) => logger.warn(line) }
        },
      },
    },
  }
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

function refusalOf({ name, config }: ViteEnvironment, plugins: readonly string[]): Refusal | undefined {
  for (const [names, side] of electronPlugins) if (plugins.some((plugin) => names.test(plugin))) return inElectron(side)
  const { consumer, build } = config
  const { conditions } = config.resolve
  if (conditions.includes('node') || testsInNode(plugins)) return undefined
  if (consumer === 'client') {
    // The main process of Electron is built as a library in the environment 'client'.
    return build.lib ? undefined : { subject: `the environment '${name}' of Vite`, ...clientRefusal }
  }
  const foreign = conditions.find((condition) => foreignRuntimes.has(condition))
  if (foreign === undefined) return undefined
  return {
    subject: `the environment '${name}' of Vite`,
    expected: `the condition 'node' in 'resolve.conditions'`,
    received: `'${foreign}', of a runtime that loads no native code`,
    hint: 'Import models in code that runs in Node.js, such as a server or a function with the Node.js runtime',
  }
}

const clientRefusal = {
  expected: 'code for Node.js',
  received: 'code for browsers',
  hint:
    `Build for Node.js with 'build.ssr', 'build.lib' or 'resolve.conditions': ['node'], ` +
    'or import models only in code of the server; in Electron, only in the main process, as docs/electron.md shows',
}

/**
 * Names of the plugins that electron-vite, Electron Forge and vite-plugin-electron-renderer add to builds of windows
 * and of preload scripts, and to no other builds.
 */
const electronPlugins = [
  [/electron.*renderer/, 'a window'],
  [/electron.*preload/, 'a preload script'],
] as const

// Conditions of edge runtimes; Vite sets 'browser' for `ssr.target: 'webworker'`.
const foreignRuntimes: ReadonlySet<string> = new Set(['browser', 'edge-light', 'worker', 'workerd'])

// Vitest runs tests for a simulated browser in the environment 'client', but in Node.js. Only its browser mode uses a
// browser.
function testsInNode(plugins: readonly string[]): boolean {
  return plugins.some((name) => /^vitest(?::|$)/.test(name)) && !plugins.includes('vitest:browser')
}
