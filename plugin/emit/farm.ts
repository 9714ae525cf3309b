import { join, posix } from 'node:path'
import type { EngineAsset } from './asset.ts'
import { copyEngine } from './copy-engine.ts'
import { type EngineCode, relativeUrl } from './location.ts'

/**
 * Copies an engine next to the output of Farm, whose plugins can emit an asset only as an array of numbers. The
 * location is not a literal `new URL('./x', import.meta.url)`, which Farm would treat as one of its own assets.
 */
export async function copiedEngine(asset: EngineAsset, folder: string, output: string): Promise<EngineCode> {
  await copyEngine(asset, join(output, folder))
  return {
    prelude: 'const base = import.meta.url',
    location: `new URL(${JSON.stringify(relativeUrl(posix.join(folder, asset.name)))}, base)`,
  }
}
