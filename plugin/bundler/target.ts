import { basename } from 'node:path'
import type { NativeBuildContext } from 'unplugin'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { nativeContext } from './context.ts'

/** What the plugin has learned of its build before a model is loaded, where the hook's context does not tell. */
export interface BuildFacts {
  /** The names of all plugins of Vite. */
  readonly plugins?: readonly string[]
  /** Farm's `output.targetEnv`. */
  readonly targetEnv?: string
}

/**
 * Throws UNSUPPORTED_TARGET where no model can run: browsers, edge runtimes, windows and preload scripts of Electron,
 * and formats that lose their own path. Called for the file of a model that was imported, with the context of the hook
 * that loads it.
 */
export function checkTarget(context: object, file: string, facts: BuildFacts): void {
  const native = nativeContext(context)
  const refused =
    native === undefined ? refusedByVite(context, facts) : refusals[native.framework](native as never, facts)
  if (refused === undefined) return
  const [where, expected, received, hint] = refused
  throw new OnnxEngineError('UNSUPPORTED_TARGET', [`import of ${basename(file)}`, where].filter(Boolean).join(': '), {
    expected,
    received,
    hint,
  })
}

type Refusal = readonly [where: string, expected: string, received: string, hint: string]
type Framework = NativeBuildContext['framework']
type Native<F extends Framework> = Extract<NativeBuildContext, { framework: F }>

const nodeOnly = 'Import models on the server or in the main process only, which have a configuration of their own'
const bridge =
  'Import it in the main process, and call it from windows by exposeModel() and connectModel() of unplugin-onnx/electron: docs/electron.md shows how'

const refusals: { readonly [F in Framework]: (native: Native<F>, facts: BuildFacts) => Refusal | undefined } = {
  webpack: refusedByWebpack,
  rspack: refusedByWebpack,
  esbuild({ build }) {
    const { platform = 'browser', outdir, outfile } = build.initialOptions
    if (platform !== 'node') return [`the option 'platform' of esbuild`, `'node'`, `'${platform}'`, nodeOnly]
    if (outdir !== undefined || outfile !== undefined) return undefined
    return [
      'the options of esbuild',
      `'outdir' or 'outfile'`,
      'neither',
      `The engine is a file beside the code: name a folder, with 'write: false' too`,
    ]
  },
  bun({ build }) {
    const { format = 'esm', target = 'browser' } = build.config
    if (target === 'browser') return [`the option 'target' of Bun`, `'node' or 'bun'`, `'browser'`, nodeOnly]
    if (format === 'esm') return undefined
    return [
      `the option 'format' of Bun`,
      `'esm'`,
      `'${format}'`,
      'A CommonJS bundle of Bun keeps the path of its source instead of its own: build an ES module, or use another bundler',
    ]
  },
  farm(_, { targetEnv = 'browser' }) {
    return /^(?:node|library)(?!-browser)/.test(targetEnv)
      ? undefined
      : [`the option 'output.targetEnv' of Farm`, `'node'`, `'${targetEnv}'`, nodeOnly]
  },
}

function refusedByWebpack({ framework, compiler }: Native<'webpack' | 'rspack'>): Refusal | undefined {
  const { externalsPresets, target } = compiler.options
  if (externalsPresets.electronRenderer) return inElectron('a window')
  if (externalsPresets.electronPreload) return inElectron('a preload script')
  if (externalsPresets.node) return undefined
  return [
    `the option 'target' of ${framework}`,
    `a target with Node.js, such as 'node' or 'electron-main'`,
    JSON.stringify(target ?? 'web'),
    nodeOnly,
  ]
}

// Sandboxed or not: Node.js refuses to start workers in the processes of windows (electron#18540), and there a model
// runs in one.
function inElectron(side: 'a window' | 'a preload script'): Refusal {
  return [
    '',
    'code of the main process, a utility process or a worker',
    `code of ${side} of Electron, where models cannot run`,
    bridge,
  ]
}

/**
 * Names of the plugins that electron-vite, Electron Forge and vite-plugin-electron-renderer add to the build of windows
 * or of preload scripts, and to no other.
 */
const electronPlugins = [
  [/electron.*renderer/, 'a window'],
  [/electron.*preload/, 'a preload script'],
] as const

/** The part of an environment of Vite that tells where its code will run. */
interface ViteEnvironment {
  readonly name: string
  readonly config: {
    readonly consumer: string
    readonly resolve: { readonly conditions: readonly string[] }
    readonly build: { readonly lib: unknown }
  }
}

// Rollup and Rolldown, which have no environment, cannot tell before they have a format.
function refusedByVite(context: object, { plugins = [] }: BuildFacts): Refusal | undefined {
  const { environment } = context as { readonly environment?: ViteEnvironment }
  if (environment === undefined) return undefined
  for (const [names, side] of electronPlugins) if (plugins.some((name) => names.test(name))) return inElectron(side)
  const {
    name,
    config: {
      consumer,
      build,
      resolve: { conditions },
    },
  } = environment
  if (conditions.includes('node') || testsInNode(plugins)) return undefined
  if (consumer === 'client') {
    // The main process of Electron is built as a library in the environment 'client'.
    return build.lib
      ? undefined
      : [
          `the environment '${name}' of Vite`,
          'code for Node.js',
          'code for browsers',
          `Build for Node.js by 'build.ssr', 'build.lib' or 'resolve.conditions': ['node'], or import models in code of the server only; in Electron, in the main process only, as docs/electron.md shows`,
        ]
  }
  const runtime = conditions.find((condition) => foreignRuntimes.has(condition))
  return runtime === undefined
    ? undefined
    : [
        `the environment '${name}' of Vite`,
        `the condition 'node' in 'resolve.conditions'`,
        `'${runtime}', of a runtime that loads no native code`,
        'Import models in code that runs in Node.js, such as a server or a function with the Node.js runtime',
      ]
}

// What edge runtimes resolve packages by; 'browser' is what Vite sets for `ssr.target: 'webworker'`.
const foreignRuntimes: ReadonlySet<string> = new Set(['browser', 'edge-light', 'worker', 'workerd'])

// Vitest runs tests for a simulated browser in the environment 'client', but in Node.js; only its browser mode does
// not.
function testsInNode(plugins: readonly string[]): boolean {
  return plugins.some((name) => /^vitest(?::|$)/.test(name)) && !plugins.includes('vitest:browser')
}
