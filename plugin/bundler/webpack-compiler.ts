import { unbundledImport } from './context.ts'
import { checkExternals, quotedNames } from './external-packages.ts'

/**
 * Prepares webpack or Rspack for two things that differ in them. An external that a plugin resolves becomes an empty
 * module, so the `externals` are made by their own plugin. And an import with a variable matches files without their
 * query, so it warns.
 */
export function setUpWebpack(compiler: WebpackCompiler, externalsOf: () => Readonly<Record<string, string>>): void {
  // The target is known only after all plugins were applied.
  compiler.hooks.afterEnvironment.tap('unplugin-onnx', () => {
    const externals = externalsOf()
    const type = compiler.options.output.module ? 'module' : 'node-commonjs'
    if (Object.keys(externals).length > 0) new compiler.webpack.ExternalsPlugin(type, externals).apply(compiler)
  })
  compiler.hooks.compilation.tap('unplugin-onnx', (compilation, { contextModuleFactory }) => {
    contextModuleFactory.hooks.beforeResolve.tap('unplugin-onnx', (data) => {
      // Not a test with the expression itself: Rspack passes one that matches nothing.
      if (data && data.request.includes('?') && data.regExp && data.regExp.source.includes('\\.onnx'))
        compilation.warnings.push(new Error(unbundledImport(`import(\`${data.request}/...\`)`)))
      return data
    })
  })
}

/** Fails a build that leaves a package external whose own code imports a model. */
export function refuseExternals(compiler: WebpackCompiler, root: () => string): void {
  compiler.hooks.thisCompilation.tap('unplugin-onnx', (compilation) => {
    const stage = compiler.webpack.Compilation.PROCESS_ASSETS_STAGE_ADDITIONAL
    compilation.hooks.processAssets.tapPromise({ name: 'unplugin-onnx', stage }, async () => {
      const externals = [...compilation.modules].flatMap((module) =>
        module.constructor.name === 'ExternalModule' ? [String(module.userRequest)] : [],
      )
      await checkExternals(externals, { root: root(), cure: bundleInWebpack }).catch((error: Error) => {
        compilation.errors.push(error)
      })
    })
  })
}

function bundleInWebpack(names: readonly string[]): string {
  return (
    `Leave ${quotedNames(names)} out of 'externals'; webpack-node-externals has an option for it: ` +
    `allowlist: [${quotedNames(names)}]`
  )
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

/** The part of the compiler that webpack and Rspack share. */
export interface WebpackCompiler {
  readonly context: string
  readonly options: { readonly output: { readonly module?: boolean } }
  readonly webpack: {
    readonly ExternalsPlugin: new (
      type: 'module' | 'node-commonjs',
      externals: Readonly<Record<string, string>>,
    ) => { apply(compiler: WebpackCompiler): void }
    readonly Compilation: { readonly PROCESS_ASSETS_STAGE_ADDITIONAL: number }
  }
  readonly hooks: {
    readonly afterEnvironment: { tap(name: string, fn: () => void): void }
    readonly thisCompilation: { tap(name: string, fn: (compilation: WebpackCompilation) => void): void }
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
  readonly errors: { push(error: Error): unknown }
  readonly modules: Iterable<{ readonly userRequest?: unknown }>
  readonly hooks: {
    readonly processAssets: {
      tapPromise(options: { readonly name: string; readonly stage: number }, fn: () => Promise<void>): void
    }
  }
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
