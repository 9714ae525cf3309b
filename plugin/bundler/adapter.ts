import type { NativeBuildContext, UnpluginContextMeta, UnpluginOptions } from 'unplugin'
import type { EngineAsset } from '../emit/asset.ts'
import type { EngineCode } from '../emit/location.ts'
import type { Side } from '../options/build-target.ts'
import type { Logger } from '../project/logger.ts'
import type { Project } from '../project/project.ts'

/**
 * Everything that differs between bundlers. A family of bundlers implements it in one file, and adapters.ts lists the
 * files. `context` is always the `this` of the hook that runs.
 */
export interface BundlerAdapter {
  /**
   * Brings an engine, or a file of the library of pages, into the output and returns its place there, as code for the
   * module of a model. `index` differs for each file of a module.
   */
  engineCode(context: object, asset: EngineAsset, index: number): EngineCode | Promise<EngineCode>
  /**
   * The bundler's resolver, for aliases, tsconfig paths and similar. It gives an absolute path or another plugin's id,
   * undefined for externals and unknown names, and may reject. Absent if plugins cannot use the resolver.
   */
  resolver?(context: object, importer: string | undefined): Resolve
  /**
   * The answer to an import of the runtime of that side: in Node.js, it must not be bundled, and in a page, it must.
   * Undefined leaves it to the bundler, or to a hook of the adapter.
   */
  resolveRuntime(side: Side): RuntimeImport | undefined
  /** Where the output runs, unless the option `platform` says so. */
  side(context: object): Side
  /** The importer as an absolute path, for a bundler that gives another one. */
  importerPath?(importer: string): string
  /** The bundler's own log. */
  logger(context: object): Logger
  /** Why models cannot run in this build; undefined if they can. */
  refusal(context: object): Refusal | undefined
  /** The error of a failed import in a form that the bundler can keep; absent if it keeps any. */
  keptError?(context: object, error: unknown): unknown
  /** Whether this build loads only some of its modules: a dev server, or a cache of modules on disk. */
  isPartial?(): boolean
  /** Additional hooks for the bundler itself, under its name, in unplugin's terms. */
  readonly hooks: UnpluginHooks
}

export type AdapterFactory = (project: Project) => BundlerAdapter

/** The names that unplugin gives to bundlers. */
export type BundlerName = UnpluginContextMeta['framework']

export type Resolve = (specifier: string) => Promise<string | undefined>

export interface RuntimeImport {
  readonly id: string
  readonly external: boolean
}

/** The parts of the error UNSUPPORTED_TARGET. */
export interface Refusal {
  /** The option or environment that is wrong; '' if there is none. */
  readonly subject: string
  readonly expected: string
  readonly received: string
  readonly hint: string
}

export type UnpluginHooks = Partial<Pick<UnpluginOptions, Exclude<BundlerName, 'rsbuild'>>>

/** The context of a bundler that unplugin translates for. */
export type NativeContext<Name extends NativeBuildContext['framework']> = Extract<
  NativeBuildContext,
  { readonly framework: Name }
>
