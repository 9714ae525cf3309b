import { dirname, isAbsolute, resolve } from 'node:path'
import type { PluginBuild } from 'esbuild'
import type { NativeBuildContext } from 'unplugin'
import { OnnxEngineError } from '../runtime/errors.ts'
import type { Logger } from './project.ts'
import type { ImportSite } from './resolve.ts'

export const runtime = 'unplugin-onnx/runtime'

/** What bundlers ask us about: models, and the runtime. Also a regular expression of Go and Rust. */
export const importFilter: RegExp = /\.onnx(?:\?|$)|^unplugin-onnx\/runtime$/

/**
 * What a hook's context hides of the bundler that runs it; undefined for Rollup, Rolldown and Vite, whose context is
 * the bundler's own.
 */
export function nativeContext(context: object): NativeBuildContext | undefined {
  return (context as { getNativeBuildContext?(): NativeBuildContext }).getNativeBuildContext?.()
}

/** The bundler's own log, as far as it hands it to the hook. */
export function bundlerLogger(context: object): Logger {
  const native = nativeContext(context)
  const rollup = context as { info?(line: string): void; warn?(line: string): void }
  if (native?.framework === 'webpack' || native?.framework === 'rspack') {
    const logger = native.compiler.getInfrastructureLogger('unplugin-onnx')
    return { log: (line) => logger.info(line), warn: (line) => logger.warn(line) }
  }
  const level = native?.framework === 'esbuild' ? native.build.initialOptions.logLevel : undefined
  const isQuiet = level === 'silent' || level === 'error' || level === 'warning'
  return {
    log: (line) => (rollup.info ? rollup.info(line) : isQuiet || console.warn(line)),
    warn: (line) => (rollup.warn ? rollup.warn(line) : console.warn(line)),
  }
}

/**
 * Prepares webpack or Rspack, in which an external that a plugin resolves becomes an empty module, and which try the
 * files that an import with a variable can mean without their query.
 */
export function setUpWebpack(compiler: WebpackCompiler): void {
  new compiler.webpack.ExternalsPlugin(compiler.options.output.module ? 'module' : 'node-commonjs', [runtime]).apply(
    compiler,
  )
  compiler.hooks.compilation.tap('unplugin-onnx', (compilation, { contextModuleFactory }) => {
    contextModuleFactory.hooks.beforeResolve.tap('unplugin-onnx', (data) => {
      // Not a test of the expression itself: Rspack hands over one that matches nothing.
      if (data && data.request.includes('?') && data.regExp && data.regExp.source.includes('\\.onnx'))
        compilation.warnings.push(new Error(lostQuery(`import(\`${data.request}/...\`)`)))
      return data
    })
  })
}

/** Whether webpack or Rspack keeps modules from one process to the next. */
export function hasPersistentCache({
  cache,
  experiments,
}: {
  readonly cache?: unknown
  readonly experiments?: object
}): boolean {
  return [cache, experiments && 'cache' in experiments ? experiments.cache : undefined].some(
    (setting) => typeof setting === 'object' && setting !== null && 'type' in setting && setting.type !== 'memory',
  )
}

/**
 * Stops a build of esbuild with `publicPath` and an engine that is used in a folder below the output's: the loader then
 * gives only the public path, from which no code below can tell where the engine lies.
 */
export function checkPublicPath(build: PluginBuild, outdir: string): void {
  const { absWorkingDir = process.cwd(), publicPath } = build.initialOptions
  if (!publicPath) return
  build.initialOptions.metafile = true
  build.onEnd(({ metafile }) => {
    const outputs = Object.entries(metafile?.outputs ?? {}).filter(
      ([file]) => dirname(resolve(absWorkingDir, file)) !== outdir,
    )
    const misplaced = outputs.filter(([, { inputs }]) =>
      Object.keys(inputs).some((input) => input.startsWith('unplugin-onnx-engine:')),
    )
    return {
      errors: misplaced
        .map(
          ([file]) =>
            new OnnxEngineError('UNSUPPORTED_TARGET', `the option 'publicPath' of esbuild, with a model in ${file}`, {
              expected: 'entries and chunks at the top of the output folder',
              received: 'one below it',
              hint: `Leave 'publicPath' out, which is for browsers, or change 'entryNames' and 'chunkNames'`,
            }),
        )
        .map(({ message }) => ({ text: message })),
    }
  })
}

/** The warning for an import whose model a bundler cannot know. */
export function lostQuery(text: string): string {
  return `${text} is not bundled, because its model is known only at run time. Import each model by its full name.`
}

/** Marks a question of ours where a bundler would let us answer it ourselves. */
const mark = '?unplugin-onnx-asks'

/** Whether an id is our own question coming back, which is left to the bundler. */
export function isQuestion(id: string): boolean {
  return id.endsWith(mark)
}

/**
 * The resolver of the bundler that runs a hook: aliases, tsconfig paths and whatever else the app has set. Undefined
 * where a bundler has none for plugins.
 */
export function bundlerResolver(context: object, importer: string | undefined): ImportSite['ask'] {
  const resolve = resolverOf(context, importer)
  // A package whose `exports` hide the model makes some bundlers throw.
  return resolve && (async (specifier) => (await resolve(specifier).catch(() => undefined))?.split('?', 1)[0])
}

type Resolve = (specifier: string) => Promise<string | undefined>

/** The part of the plugin context that Rollup, Rolldown and Vite share. */
interface RollupContext {
  resolve(
    id: string,
    importer: string | undefined,
    options: { readonly skipSelf: true },
  ): Promise<{ readonly id: string; readonly external?: unknown } | null>
}

/** The part of the compiler that webpack and Rspack share. */
export interface WebpackCompiler {
  readonly context: string
  readonly options: { readonly output: { readonly module?: boolean } }
  readonly webpack: {
    readonly ExternalsPlugin: new (
      type: 'module' | 'node-commonjs',
      externals: string[],
    ) => { apply(compiler: WebpackCompiler): void }
  }
  readonly hooks: {
    readonly compilation: {
      tap(name: string, fn: (compilation: WebpackCompilation, params: WebpackParams) => void): void
    }
  }
  readonly resolverFactory: {
    get(
      type: string,
      options: object,
    ): {
      resolve(context: object, folder: string, request: string, resolveContext: object, done: WebpackCallback): void
    }
  }
}

interface WebpackCompilation {
  readonly warnings: { push(warning: Error): unknown }
}

interface WebpackParams {
  readonly contextModuleFactory: {
    readonly hooks: {
      readonly beforeResolve: {
        tap(name: string, fn: (data: WebpackContext | false | void) => WebpackContext | false | void): void
      }
    }
  }
}

interface WebpackContext {
  readonly request: string
  readonly regExp?: RegExp | false | null
}

type WebpackCallback = (error: Error | null, path?: string | false) => void

function resolverOf(context: object, importer: string | undefined): Resolve | undefined {
  if ('resolve' in context) return (specifier) => resolveInRollup(context as RollupContext, specifier, importer)
  const native = nativeContext(context)
  switch (native?.framework) {
    case 'webpack':
    case 'rspack':
      return (specifier) => resolveInWebpack(native.compiler as unknown as WebpackCompiler, specifier, importer)
    case 'esbuild':
      return async (specifier) => {
        const resolveDir = folderOf(importer) ?? process.cwd()
        const { path, external } = await native.build.resolve(specifier + mark, {
          kind: 'import-statement',
          importer,
          resolveDir,
        })
        return external ? undefined : path || undefined
      }
    case 'farm':
      return async (specifier) => {
        const found = await native.context.resolve(
          { source: specifier + mark, importer: null, kind: 'import' },
          { caller: 'unplugin-onnx', meta: {} },
        )
        return found.external ? undefined : found.resolvedPath
      }
    default:
      return undefined
  }
}

async function resolveInRollup(
  context: RollupContext,
  specifier: string,
  importer: string | undefined,
): Promise<string | undefined> {
  const found = await context.resolve(specifier, importer, { skipSelf: true })
  return found && !found.external ? found.id : undefined
}

function resolveInWebpack(
  compiler: WebpackCompiler,
  specifier: string,
  importer: string | undefined,
): Promise<string | undefined> {
  const resolver = compiler.resolverFactory.get('normal', { dependencyType: 'esm' })
  const folder = folderOf(importer) ?? compiler.context
  return new Promise((settle, reject) => {
    resolver.resolve({ issuer: importer }, folder, specifier + mark, {}, (error, path) =>
      error ? reject(error) : settle(path || undefined),
    )
  })
}

function folderOf(importer: string | undefined): string | undefined {
  return importer !== undefined && isAbsolute(importer) ? dirname(importer) : undefined
}
