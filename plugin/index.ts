import { createUnplugin, type UnpluginInstance } from 'unplugin'
import { cachedLocation, engineAsset, rollupAssets } from './emit/asset.ts'
import { moduleText } from './emit/module.ts'
import { openProject, type Logger } from './project.ts'
import { modelFilter } from './query.ts'
import type { Options } from './options.ts'
import type { ImportSite } from './resolve.ts'

export { compile, writeModel } from './build.ts'
export type { Compiled, Variant } from './compile.ts'
export type { Options } from './options.ts'

const runtime = 'unplugin-onnx/runtime'
const imports = /\.onnx(?:\?|$)|^unplugin-onnx\/runtime$/

/** The plugin for every bundler; import it from the bundler's own entry, such as `unplugin-onnx/vite`. */
export const unpluginOnnx: UnpluginInstance<Options | undefined, false> = createUnplugin((user) => {
  const project = openProject(user)
  const { location, ...rollup } = rollupAssets(project.options.assetsDir)
  let locate = location
  let externalRuntime = runtime
  let viteLogger: Logger | undefined
  let warned = false

  return {
    name: 'unplugin-onnx',
    enforce: 'pre',
    buildStart: project.buildStart,
    buildEnd() {
      return project.buildEnd(viteLogger ?? loggerOf(this))
    },
    writeBundle: project.collect,
    resolveId: {
      // Before aliases are resolved: types are declared for the text that the user wrote.
      order: 'pre',
      filter: { id: imports },
      handler(id, importer) {
        // Its worker and addon lie beside it: a bundled copy would not find them.
        if (id === runtime) return { id: externalRuntime, external: true }
        return project.resolve(id, importer, askBundler(this, importer))
      },
    },
    load: {
      filter: { id: modelFilter },
      async handler(id) {
        const compiled = await project.compile(id, viteLogger ?? loggerOf(this), (file) => this.addWatchFile(file))
        if (compiled === undefined) return undefined
        if (!warned && isForBrowsers(this)) {
          warned = true
          this.warn(`${compiled.name}.onnx ${browserWarning}`)
        }
        const engines = compiled.variants.map((variant) => engineAsset(compiled.name, variant))
        return { code: moduleText(compiled, engines.map(locate)), moduleType: 'js' }
      },
    },
    rollup: { ...rollup, transform: warnOfTemplates },
    rolldown: { ...rollup, transform: warnOfTemplates },
    vite: {
      ...rollup,
      configResolved({ command, root, logger }) {
        project.moveTo(root)
        viteLogger = { log: (line) => logger.info(line), warn: (line) => logger.warn(line) }
        if (command === 'build') return
        locate = cachedLocation
        // A model of another package cannot see the app's dependencies, and no bundle will stand between.
        externalRuntime = import.meta.resolve(runtime)
      },
    },
  }
})

type Ask = ImportSite['ask']

// Rollup's family hands its resolver to plugins, and throws when the `exports` of a package hide the file.
function askBundler(context: object, importer: string | undefined): Ask {
  if (!('resolve' in context)) return undefined
  const { resolve } = context as { resolve(id: string, importer?: string, options?: object): Promise<{ id: string; external?: unknown } | null> }
  return async (specifier) => {
    const found = await resolve.call(context, specifier, importer, { skipSelf: true }).catch(() => null)
    return found && !found.external ? found.id.split('?', 1)[0] : undefined
  }
}

// Not every bundler hands its log to every hook.
function loggerOf(context: object): Logger {
  const bundler = context as { info?(line: string): void; warn?(line: string): void }
  return {
    log: (line) => (bundler.info ? bundler.info(line) : console.warn(line)),
    warn: (line) => (bundler.warn ? bundler.warn(line) : console.warn(line)),
  }
}

const browserWarning = 'is imported in a build for browsers, but models run in Node.js. Build with `vite build --ssr` or `build.lib`, or import models on the server only.'

const templateImport = /\bimport\(\s*`[^`]*\$\{[^`]*\.onnx\?[^`]*`/

// Vite reads such an import as a glob. Rollup and Rolldown leave it to Node.js, unless another plugin has replaced it before.
const warnOfTemplates = {
  order: 'post',
  filter: { code: templateImport },
  handler(this: { warn(message: string): void }, code: string): null {
    const [text] = templateImport.exec(code) ?? []
    // Rollup itself has no filter for code.
    if (text !== undefined) this.warn(`${text}) is not bundled, because its model is known only at run time. Import each model by its full name.`)
    return null
  },
} as const

// A library build has the consumer 'client' too, and Electron's main process is built as one.
function isForBrowsers(context: object): boolean {
  const { environment } = context as { environment?: { config: { consumer: string; command: string; build: { lib: unknown } } } }
  if (environment === undefined) return false
  const { consumer, command, build } = environment.config
  return consumer === 'client' && command === 'build' && !build.lib
}
