import { copyFile, constants, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { makeFolder } from '../../runtime/make-folder.ts'
import type { Variant } from '../compile/variant.ts'
import type { EngineCode } from './location.ts'
import { writing } from './output.ts'

/** An engine on its way into a bundle. */
export interface EngineAsset {
  /** Name in the output: the model, the backend and the hash of the engine's own bytes, all of it ASCII. */
  readonly name: string
  /** Absolute path of the bytes in the cache. */
  readonly source: string
}

/**
 * Our own content-hashed name, because bundlers hash differently, or not at all in library builds, and because a name
 * must be known when the module is made. Only characters that need no escape in a URL, in a path and in a regular
 * expression's `\w`.
 */
export function engineAsset(model: string, { backend, extension, artifact }: Variant): EngineAsset {
  return {
    name: `${model.replace(/[^\w-]+/g, '_')}-${backend}-${artifact.sha256.slice(0, 10)}${extension}`,
    source: artifact.file,
  }
}

/**
 * Copies an engine to the place it is shipped from. Whole or not at all: a reader never sees a part. A file of that
 * name and size is the engine already, because the name has the hash of its bytes; a watcher need not write gigabytes
 * again.
 *
 * @throws OnnxEngineError OUTPUT_FAILED
 */
export async function copyEngine({ name, source }: EngineAsset, folder: string): Promise<void> {
  const target = join(folder, name)
  if ((await sizeOf(target)) === (await sizeOf(source))) return
  const temporary = `${target}.${process.pid}.tmp`
  await writing(folder, async () => {
    await makeFolder(folder)
    try {
      await copyFile(source, temporary, constants.COPYFILE_FICLONE)
      await rename(temporary, target)
    } finally {
      await rm(temporary, { force: true })
    }
  })
}

/** Dev servers and test runners do not write a bundle: the engine is used where it lies in the cache. */
export function cachedEngine({ source }: EngineAsset): EngineCode {
  return { location: JSON.stringify(pathToFileURL(source).href) }
}

async function sizeOf(file: string): Promise<number | undefined> {
  return (await stat(file).catch(() => undefined))?.size
}
