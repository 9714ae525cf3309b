import type { Compiler as RspackCompiler } from '@rspack/core'
import type { Compiler } from 'webpack'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { webpackEngine, type WebpackLoader } from '../emit/webpack.ts'
import type { Side } from '../options/build-target.ts'
import type { Project } from '../project/project.ts'
import type { BundlerAdapter, NativeContext, Refusal, Resolve } from './adapter.ts'
import { externalRuntime, nativeContext, runtimeOf, runtimes } from './context.ts'
import { folderOf, ownQuestion } from './resolver.ts'
import { nodeOnly, preloadRefusal } from './target.ts'
import { hasPersistentCache, refuseExternals, setUpWebpack, type WebpackCompiler } from './webpack-compiler.ts'

/** webpack and Rspack. */
export function webpackAdapter(project: Project): BundlerAdapter {
  let isCached = false
  const setUp = (compiler: Compiler | RspackCompiler): void => {
    project.moveTo(compiler.context)
    project.writesTo(compiler.options.output.path ?? '')
    isCached = hasPersistentCache(compiler.options)
    // Where a browser runs it, the runtime is a part of the bundle.
    const hasExternals = () => platformOf(project, compiler.options) === 'node'
    setUpWebpack(compiler as unknown as WebpackCompiler, () => (hasExternals() ? externals(project) : {}))
    if (compiler.options.externals !== undefined)
      refuseExternals(compiler as unknown as WebpackCompiler, () => project.options.root)
  }
  return {
    engineCode(context, asset) {
      const { compiler, loaderContext } = webpackContext(context)
      const side = platformOf(project, compiler.options)
      const loader = loaderContext as WebpackLoader
      return webpackEngine(asset, { folder: project.options.assetsDir, side, loader })
    },
    side: (context) => sideOf(webpackContext(context).compiler.options),
    resolver: (context, importer) => {
      const { compiler, resolved } = webpackContext(context)
      if (resolved !== undefined) return async () => resolved
      return webpackResolver(compiler as unknown as WebpackCompiler, importer)
    },
    // An external that a plugin resolves becomes an empty module: setUpWebpack uses their own plugin for externals.
    resolveRuntime: (side) => (side === 'browser' ? runtimeOf(project, side) : undefined),
    logger(context) {
      const logger = webpackContext(context).compiler.getInfrastructureLogger('unplugin-onnx')
      return { log: (line) => logger.info(line), warn: (line) => logger.warn(line) }
    },
    keptError: (context, error) => (webpackContext(context).framework === 'webpack' ? plainError(error) : error),
    refusal: (context) => refusalOf(webpackContext(context)),
    // Modules that a bundler takes from its own cache are not loaded.
    isPartial: () => isCached,
    hooks: { webpack: setUp, rspack: setUp },
  }
}

function externals({ options: { root } }: Project): Readonly<Record<string, string>> {
  return Object.fromEntries(runtimes.map((name) => [name, externalRuntime(root).id]))
}

type WebpackContext = NativeContext<'webpack' | 'rspack'> & {
  /** The file of an import that Rspack has resolved already: see rspack-plugin.ts. */
  readonly resolved?: string
}

function webpackContext(context: object): WebpackContext {
  return nativeContext<'webpack' | 'rspack'>(context)
}

function webpackResolver(compiler: WebpackCompiler, importer: string | undefined): Resolve {
  const resolver = compiler.resolverFactory.get('normal', { dependencyType: 'esm' })
  const folder = folderOf(importer) ?? compiler.context
  return (specifier) =>
    new Promise((fulfill, reject) => {
      resolver.resolve({ issuer: importer }, folder, ownQuestion(specifier), {}, (error, path) =>
        error ? reject(error) : fulfill(path || undefined),
      )
    })
}

const edgeRefusal: Refusal = {
  subject: `the compiler 'edge-server' of Next.js`,
  expected: 'code for Node.js or for pages',
  received: 'an edge runtime, which has neither native code nor workers',
  hint: `Export const runtime = 'nodejs' from the route`,
}

interface TargetOptions {
  readonly externalsPresets: { readonly electronRenderer?: unknown; readonly node?: unknown; readonly web?: unknown }
}

// Windows of Electron have Node.js' modules with some settings, but are pages with all.
function sideOf({ externalsPresets: { electronRenderer, node, web } }: TargetOptions): Side {
  return electronRenderer || (web && !node) ? 'browser' : 'node'
}

function platformOf({ options: { platform } }: Project, compiler: TargetOptions): Side {
  return platform === 'auto' ? sideOf(compiler) : platform
}

// The cache of webpack on disk skips modules whose error has a class of its own, and says so in two long lines.
function plainError(error: unknown): unknown {
  if (!(error instanceof OnnxEngineError)) return error
  const { name, code, message, expected, received, hint, stack } = error
  return Object.assign(new Error(message), { name, code, expected, received, hint, stack })
}

const nodeTargets = /^(?:async-)?node(?:[\d.]|$)/

function refusalOf({ framework, compiler }: WebpackContext): Refusal | undefined {
  const { externalsPresets, target, name } = compiler.options
  if (externalsPresets.electronPreload) return preloadRefusal
  // Next.js builds them with the target of pages.
  if (name === 'edge-server') return edgeRefusal
  if (externalsPresets.electronRenderer || externalsPresets.node || externalsPresets.web) return undefined
  // The target's own preset may be switched off, as Nest does to keep `import` for Node's modules.
  if ([target || []].flat().some((known) => nodeTargets.test(known))) return undefined
  return {
    subject: `the option 'target' of ${framework}`,
    expected: `a target with Node.js or of browsers, such as 'node', 'electron-main' or 'web'`,
    received: JSON.stringify(target ?? 'web'),
    hint: nodeOnly,
  }
}
