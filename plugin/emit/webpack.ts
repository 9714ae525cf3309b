import { posix } from 'node:path'
import type { Side } from '../options/build-target.ts'
import type { EngineAsset } from './asset.ts'
import { readEngine } from './copy-engine.ts'
import { type EngineCode, relativeUrl } from './location.ts'

/** The part of a loader's context that webpack and Rspack share. */
export interface WebpackLoader {
  emitFile(
    name: string,
    content: Buffer,
    sourceMap?: undefined,
    info?: { readonly immutable: boolean; readonly minimized: boolean },
  ): void
}

/**
 * An engine in webpack and Rspack, emitted by the loader: persistent caches keep such an asset with its module.
 * `__webpack_base_uri__` is the folder of the output in every chunk and format of Node.js, and does not change with
 * `publicPath`, which is for browsers. There, it is the page.
 */
export async function webpackEngine(asset: EngineAsset, { folder, side, loader }: WebpackPlace): Promise<EngineCode> {
  const path = posix.join(folder, asset.name)
  // A minimizer would change scripts of the library, whose names say what is in them.
  loader.emitFile(path, await readEngine(asset), undefined, { immutable: true, minimized: true })
  const url = JSON.stringify(relativeUrl(path))
  if (side === 'node') return { location: `new URL(${url}, __webpack_base_uri__)` }
  return { location: `new URL(${url}, new URL(__webpack_public_path__, __webpack_base_uri__))` }
}

/** Where the output of a build has its engines, and where it runs. */
export interface WebpackPlace {
  readonly folder: string
  readonly side: Side
  readonly loader: WebpackLoader
}
