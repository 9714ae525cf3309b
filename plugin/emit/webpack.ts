import { posix } from 'node:path'
import { type EngineAsset, readEngine } from './asset.ts'
import { type EngineCode, relativeUrl } from './location.ts'

/** The part of a loader's context that webpack and Rspack share. */
export interface WebpackLoader {
  emitFile(name: string, content: Buffer, sourceMap?: undefined, info?: { readonly immutable: boolean }): void
}

/**
 * An engine in webpack and Rspack, emitted by the loader: persistent caches keep such an asset with its module.
 * `__webpack_base_uri__` is the folder of the output in every chunk and format, and does not change with `publicPath`,
 * which is for browsers.
 */
export async function webpackEngine(asset: EngineAsset, folder: string, loader: WebpackLoader): Promise<EngineCode> {
  const path = posix.join(folder, asset.name)
  loader.emitFile(path, await readEngine(asset), undefined, { immutable: true })
  return { location: `new URL(${JSON.stringify(relativeUrl(path))}, __webpack_base_uri__)` }
}
