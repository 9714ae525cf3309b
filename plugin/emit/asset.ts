/**
 * Engines and modules on their way into the output of a bundler. asset.ts names and copies engines, module.ts writes
 * the module of a model, location.ts the expression that finds an engine from a chunk. rollup.ts, webpack.ts,
 * file-loader.ts (esbuild and Bun) and farm.ts each bring engines into the output of one family. standalone.ts copies
 * the runtime.
 */
import { copyFile, constants, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { makeFolder } from '../../runtime/make-folder.ts'
import type { Variant } from '../compile/variant.ts'
import type { EngineCode } from './location.ts'
import { orOutputFailed } from './output.ts'

/** An engine on its way into a bundle. */
export interface EngineAsset {
  /** Name in the output: the model, the backend and the hash of the engine's own bytes, all of it ASCII. */
  readonly name: string
  /** Absolute path of the bytes in the cache. */
  readonly source: string
}

/**
 * The engine of a variant with a name of our own that contains a hash of its bytes: bundlers hash differently, or not
 * at all in library builds, and the name must be known when the module is written. The name has only characters that
 * need no escape in a URL, in a path and in the `\w` of a regular expression.
 */
export function engineAsset(model: string, { backend, extension, artifact }: Variant): EngineAsset {
  return {
    name: `${model.replace(/[^\w-]+/g, '_')}-${backend}-${artifact.sha256.slice(0, 10)}${extension}`,
    source: artifact.file,
  }
}

/**
 * Copies an engine into an output folder, whole or not at all: a reader never sees a part. A file of that name and size
 * is the same engine, because the name contains the hash of its bytes, so a watcher does not write gigabytes again.
 *
 * @throws OnnxEngineError OUTPUT_FAILED
 */
export async function copyEngine({ name, source }: EngineAsset, folder: string): Promise<void> {
  const target = join(folder, name)
  if ((await sizeOf(target)) === (await sizeOf(source))) return
  const temporary = `${target}.${process.pid}.tmp`
  await orOutputFailed(folder, async () => {
    await makeFolder(folder)
    try {
      await copyFile(source, temporary, constants.COPYFILE_FICLONE)
      await rename(temporary, target)
    } finally {
      await rm(temporary, { force: true })
    }
  })
}

/** For dev servers and test runners, which write no bundle: the engine stays in the cache. */
export function cachedEngine({ source }: EngineAsset): EngineCode {
  return { location: JSON.stringify(pathToFileURL(source).href) }
}

async function sizeOf(file: string): Promise<number | undefined> {
  return (await stat(file).catch(() => undefined))?.size
}
