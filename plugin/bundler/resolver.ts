import { isAbsolute, dirname } from 'node:path'
import type { ImportSite } from '../imports/resolve.ts'
import { nativeContext } from './context.ts'
import type { WebpackCompiler } from './webpack.ts'

/**
 * The resolver of the bundler that runs a hook: aliases, tsconfig paths and whatever else the app has set. Undefined
 * where a bundler has none for plugins.
 */
export function bundlerResolver(context: object, importer: string | undefined): ImportSite['resolveImport'] {
  const resolve = resolverOf(context, importer)
  // A package whose `exports` hide the model makes some bundlers throw.
  return resolve && (async (specifier) => (await resolve(specifier).catch(() => undefined))?.split('?', 1)[0])
}

/** Marks a question of ours where a bundler would let us answer it ourselves. */
const mark = '?unplugin-onnx-asks'

/** Whether an id is our own question coming back, which is left to the bundler. */
export function isQuestion(id: string): boolean {
  return id.endsWith(mark)
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
