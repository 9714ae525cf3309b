import { dirname, isAbsolute } from 'node:path'
import type { ImportSite } from '../imports/resolve.ts'
import type { BundlerAdapter } from './adapter.ts'

/** The adapter's resolver as project/ needs it: it does not reject, and gives a path without a query. */
export function modelResolver(
  adapter: BundlerAdapter,
  context: object,
  importer: string | undefined,
): ImportSite['resolveImport'] {
  const resolve = adapter.resolver?.(context, importer)
  // Some bundlers throw when the `exports` of a package hide the model.
  return resolve && (async (specifier) => (await resolve(specifier).catch(() => undefined))?.split('?', 1)[0])
}

const mark = '?unplugin-onnx-asks'

/** A specifier for the bundler's resolver, which would otherwise call this plugin again. */
export function ownQuestion(specifier: string): string {
  return specifier + mark
}

/** Whether an id is such a specifier on its way back, which is left to the bundler. */
export function isOwnQuestion(id: string): boolean {
  return id.endsWith(mark)
}

export function folderOf(importer: string | undefined): string | undefined {
  return importer !== undefined && isAbsolute(importer) ? dirname(importer) : undefined
}
