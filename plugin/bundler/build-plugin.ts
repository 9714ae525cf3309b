import { dirname } from 'node:path'
import type { Options } from '../options/types.ts'
import type { AdapterFactory, RuntimeImport } from './adapter.ts'
import { pluginHooks } from './hooks.ts'

/** What esbuild and Bun's bundler give to plugins, which is nearly the same. */
export interface Build {
  /** The options of esbuild. */
  readonly initialOptions?: { readonly external?: readonly string[] }
  /** Those of Bun. */
  readonly config?: { readonly external?: readonly string[] }
  onStart(callback: () => unknown): unknown
  onResolve(filter: BuildFilter, callback: (found: FoundImport) => Promise<object | undefined>): unknown
  onLoad(filter: BuildFilter, callback: (found: { readonly path: string }) => Promise<object | undefined>): unknown
  onEnd?(callback: () => unknown): unknown
}

interface BuildFilter {
  readonly filter: RegExp
}

interface FoundImport {
  readonly path: string
  readonly importer: string
  readonly kind: string
}

export interface BuildPlugin<B extends Build> {
  readonly name: string
  setup(build: B): void
}

/**
 * The plugin for esbuild or Bun, whose hooks run for models only. It does not load unplugin, whose modules are for
 * other bundlers and take longer to load than a small build. Throws OPTION_INVALID.
 */
export function buildPlugin<B extends Build>(
  framework: 'esbuild' | 'bun',
  options: Options | undefined,
  createAdapter: AdapterFactory,
): BuildPlugin<B> {
  const hooks = pluginHooks(options, createAdapter) as unknown as Hooks<B>
  return { name: hooks.name, setup: (build) => setUp({ framework, build, hooks }) }
}

/** The hooks that this file calls. */
interface Hooks<B> {
  readonly name: string
  readonly resolveId: {
    readonly filter: { readonly id: RegExp }
    handler(this: object, id: string, importer: string | undefined): Promise<string | RuntimeImport | undefined>
  }
  readonly load: {
    readonly filter: { readonly id: RegExp }
    handler(this: object, id: string): Promise<{ readonly code: string } | undefined>
  }
  readonly esbuild?: { setup(build: B): void }
  readonly bun?: { setup(build: B): void }
  buildStart(): void
  buildEnd(this: object): Promise<void>
  writeBundle(): Promise<void>
}

interface Running<B> {
  readonly framework: 'esbuild' | 'bun'
  readonly build: B
  readonly hooks: Hooks<B>
}

function setUp<B extends Build>({ framework, build, hooks }: Running<B>): void {
  const context = { getNativeBuildContext: () => ({ framework, build }) }
  hooks[framework]?.setup(build)
  build.onStart(() => hooks.buildStart())
  build.onResolve({ filter: hooks.resolveId.filter.id }, async ({ path, importer, kind }) => {
    if (externalsOf(build).includes(path)) return undefined
    const from = kind.startsWith('entry-point') ? undefined : importer
    const found = await hooks.resolveId.handler.call(context, path, from)
    if (typeof found === 'object') return { path: found.id, external: found.external }
    if (found === undefined) return undefined
    // In a namespace, esbuild leaves the file to this plugin; Bun knows files only.
    return framework === 'esbuild' ? { path: found, namespace: hooks.name } : { path: found }
  })
  build.onLoad({ filter: hooks.load.filter.id }, async ({ path }) => {
    const watchFiles: string[] = []
    const warnings: { readonly text: string }[] = []
    const loading = {
      ...context,
      addWatchFile: (file: string) => void watchFiles.push(file),
      ...(framework === 'esbuild' && { warn: (text: string) => void warnings.push({ text }) }),
    }
    const found = await hooks.load.handler.call(loading, path)
    if (found === undefined) return undefined
    const module = { contents: found.code, loader: 'js' }
    return framework === 'bun' ? module : { ...module, resolveDir: dirname(path), watchFiles, warnings }
  })
  build.onEnd?.(async () => {
    await hooks.buildEnd.call(context)
    await hooks.writeBundle()
  })
}

function externalsOf({ initialOptions, config }: Build): readonly string[] {
  return (initialOptions ?? config)?.external ?? []
}
