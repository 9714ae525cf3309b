import type { Compiler as RspackCompiler } from '@rspack/core'
import type { Compiler } from 'webpack'
import { webpackEngine, type WebpackLoader } from '../emit/webpack.ts'
import type { Project } from '../project/project.ts'
import type { BundlerAdapter, NativeContext, Refusal, Resolve } from './adapter.ts'
import { nativeContext } from './context.ts'
import { folderOf, ownQuestion } from './resolver.ts'
import { inElectron, nodeOnly } from './target.ts'
import { hasPersistentCache, setUpWebpack, type WebpackCompiler } from './webpack-compiler.ts'

/** webpack and Rspack. */
export function webpackAdapter(project: Project): BundlerAdapter {
  let isCached = false
  const setUp = (compiler: Compiler | RspackCompiler): void => {
    project.moveTo(compiler.context)
    project.writesTo(compiler.options.output.path ?? '')
    isCached = hasPersistentCache(compiler.options)
    setUpWebpack(compiler as unknown as WebpackCompiler)
  }
  return {
    engineCode: (context, asset) =>
      webpackEngine(asset, project.options.assetsDir, webpackContext(context).loaderContext as WebpackLoader),
    resolver: (context, importer) => {
      const { compiler, resolved } = webpackContext(context)
      if (resolved !== undefined) return async () => resolved
      return webpackResolver(compiler as unknown as WebpackCompiler, importer)
    },
    // An external that a plugin resolves becomes an empty module: setUpWebpack uses their own plugin for externals.
    resolveRuntime: () => undefined,
    logger(context) {
      const logger = webpackContext(context).compiler.getInfrastructureLogger('unplugin-onnx')
      return { log: (line) => logger.info(line), warn: (line) => logger.warn(line) }
    },
    refusal: (context) => refusalOf(webpackContext(context)),
    // Modules that a bundler takes from its own cache are not loaded.
    isPartial: () => isCached,
    hooks: { webpack: setUp, rspack: setUp },
  }
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

function refusalOf({ framework, compiler }: WebpackContext): Refusal | undefined {
  const { externalsPresets, target } = compiler.options
  if (externalsPresets.electronRenderer) return inElectron('a window')
  if (externalsPresets.electronPreload) return inElectron('a preload script')
  if (externalsPresets.node) return undefined
  return {
    subject: `the option 'target' of ${framework}`,
    expected: `a target with Node.js, such as 'node' or 'electron-main'`,
    received: JSON.stringify(target ?? 'web'),
    hint: nodeOnly,
  }
}
