import { join, posix } from 'node:path'
import { type EngineAsset, copyEngine } from './asset.ts'
import { type EngineCode, relativeUrl } from './location.ts'

/**
 * Farm, whose plugins can emit an asset only as an array of numbers: the engine is copied beside the output. Farm would
 * take a literal `new URL('./x', import.meta.url)` for an asset of its own.
 */
export async function copiedEngine(asset: EngineAsset, folder: string, output: string): Promise<EngineCode> {
  await copyEngine(asset, join(output, folder))
  return {
    prelude: 'const base = import.meta.url',
    location: `new URL(${JSON.stringify(relativeUrl(posix.join(folder, asset.name)))}, base)`,
  }
}
