import { resolve, relative, dirname } from 'node:path'
import type { UnpluginFactory } from 'unplugin'
import { type EngineAsset, cachedEngine, engineAsset } from '../emit/asset.ts'
import { copiedEngine } from '../emit/farm.ts'
import { fileLoaderAssets } from '../emit/file-loader.ts'
import type { EngineCode } from '../emit/location.ts'
import { moduleText } from '../emit/module.ts'
import { rollupAssets } from '../emit/rollup.ts'
import { webpackEngine, type WebpackLoader } from '../emit/webpack.ts'
import { modelFilter } from '../options/query.ts'
import type { Options } from '../options/types.ts'
import { openProject, type Logger } from '../project/project.ts'
import { bundlerLogger, nativeContext, importFilter, runtime } from './context.ts'
import { checkPublicPath } from './esbuild.ts'
import { isQuestion, bundlerResolver } from './resolver.ts'
import { type BuildFacts, checkTarget } from './target.ts'
import { warnOfTemplates, type BunResult, warnOfTemplate } from './template-imports.ts'
import { hasPersistentCache, setUpWebpack, type WebpackCompiler } from './webpack.ts'

/** The hooks of the plugin for every bundler, in unplugin's terms. Throws OPTION_INVALID. */
export const pluginHooks: UnpluginFactory<Options | undefined, false> = (user, { framework }) => {
  const project = openProject(user)
  const folder = project.options.assetsDir
  const rollup = rollupAssets(folder, project.writesTo)
  const files = fileLoaderAssets()
  let serves = false
  // Modules that a bundler takes from its own cache are not loaded.
  let cachesModules = false
  let facts: BuildFacts = {}
  let farmOutput = ''
  let viteLogger: Logger | undefined
  const loggerOf = (context: object) => viteLogger ?? bundlerLogger(context)

  function engineCode(context: object, asset: EngineAsset, index: number): EngineCode | Promise<EngineCode> {
    const native = nativeContext(context)
    switch (native?.framework) {
      case 'webpack':
      case 'rspack':
        return webpackEngine(asset, folder, native.loaderContext as WebpackLoader)
      case 'esbuild':
      case 'bun':
        return files.engine(asset, index)
      case 'farm':
        return copiedEngine(asset, folder, farmOutput)
      default:
        return serves ? cachedEngine(asset) : rollup.engine(asset)
    }
  }

  return {
    name: 'unplugin-onnx',
    enforce: 'pre',
    buildStart: project.buildStart,
    // Rollup and its kin tell an error.
    buildEnd(error?: unknown) {
      return project.buildEnd(loggerOf(this), error === undefined && !serves && !cachesModules)
    },
    writeBundle: project.written,
    resolveId: {
      // Before aliases are resolved: types are declared for the text that the user wrote.
      order: 'pre',
      filter: { id: importFilter },
      async handler(id, importer) {
        // Old versions of Vite and Rollup know no filters.
        if (isQuestion(id) || !importFilter.test(id)) return undefined
        // Its worker and addon lie beside it: a bundled copy would not find them. A model of another package cannot see
        // the app's dependencies when no bundle stands between.
        if (id === runtime)
          return framework === 'webpack' || framework === 'rspack'
            ? undefined
            : { id: serves ? import.meta.resolve(runtime) : runtime, external: true }
        // unplugin takes Farm's relative paths for relative to the current folder.
        const from =
          framework === 'farm' && importer !== undefined
            ? resolve(project.options.root, relative(process.cwd(), importer))
            : importer
        return project.resolve(id, from, bundlerResolver(this, from))
      },
    },
    load: {
      filter: { id: modelFilter },
      async handler(id) {
        if (!modelFilter.test(id)) return undefined
        const compiled = await project.compile(id, {
          ...loggerOf(this),
          watch: (file) => this.addWatchFile(file),
          check: (file) => checkTarget(this, file, facts),
        })
        if (compiled === undefined) return undefined
        const assets = compiled.variants.map((variant) => engineAsset(compiled.name, variant))
        const engines = await Promise.all(assets.map((asset, index) => engineCode(this, asset, index)))
        return { code: moduleText(compiled, engines), moduleType: 'js' }
      },
    },
    rollup: { ...rollup.hooks, transform: warnOfTemplates },
    rolldown: { ...rollup.hooks, transform: warnOfTemplates },
    vite: {
      ...rollup.hooks,
      configResolved({ command, root, logger, plugins }) {
        project.moveTo(root)
        serves = command === 'serve'
        facts = { plugins: plugins.map(({ name }) => name) }
        viteLogger = { log: (line) => logger.info(line), warn: (line) => logger.warn(line) }
      },
    },
    webpack(compiler) {
      project.moveTo(compiler.context)
      project.writesTo(compiler.options.output.path ?? '')
      cachesModules = hasPersistentCache(compiler.options)
      setUpWebpack(compiler as unknown as WebpackCompiler)
    },
    rspack(compiler) {
      project.moveTo(compiler.context)
      project.writesTo(compiler.options.output.path ?? '')
      cachesModules = hasPersistentCache(compiler.options)
      setUpWebpack(compiler as unknown as WebpackCompiler)
    },
    esbuild: {
      onResolveFilter: importFilter,
      onLoadFilter: modelFilter,
      setup(build) {
        const {
          absWorkingDir = process.cwd(),
          platform = 'browser',
          format = { browser: 'iife', node: 'cjs', neutral: 'esm' }[platform],
          publicPath,
          outdir,
          outfile = '',
          write = true,
        } = build.initialOptions
        project.moveTo(absWorkingDir)
        const output = resolve(absWorkingDir, outdir ?? dirname(outfile))
        project.writesTo(write ? output : undefined)
        checkPublicPath(build, output)
        files.setup(build, { format, publicPath })
      },
    },
    bun: {
      setup(build) {
        const { publicPath, outdir } = build.config
        project.writesTo(outdir && resolve(outdir))
        files.setup(build, { format: 'esm', publicPath })
        build.onEnd?.(async ({ outputs = [] }: BunResult) => {
          for (const output of outputs)
            if (/\.[cm]?js$/.test(output.path)) warnOfTemplate(await output.text(), console.warn)
        })
      },
    },
    farm: {
      configResolved({ root = process.cwd(), compilation }) {
        project.moveTo(root)
        facts = { targetEnv: compilation?.output?.targetEnv }
        farmOutput = resolve(root, compilation?.output?.path ?? 'dist')
        project.writesTo(farmOutput)
      },
    },
  }
}
