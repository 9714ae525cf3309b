import { createHash } from 'node:crypto'
import { rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { makeFolder } from '../../runtime/make-folder.ts'
import { hashFile } from '../files/hash.ts'
import { copyHeld, readHeld } from '../files/held-files.ts'
import { sameStamp, type Stamp, stampOf } from '../files/stamp.ts'
import type { EngineAsset } from './asset.ts'
import { orOutputFailed } from './output.ts'

/**
 * Copies an engine into an output folder, whole or not at all: a reader never sees a part. A file that is the same
 * engine already stays, so a watcher does not write gigabytes again; a damaged one is replaced.
 *
 * @throws OnnxEngineError OUTPUT_FAILED, CACHE_FAILED
 */
export async function copyEngine(asset: EngineAsset, folder: string, name: string = asset.name): Promise<void> {
  const target = join(folder, name)
  if (await isWritten(asset, target)) return
  const temporary = `${target}.${process.pid}.tmp`
  await orOutputFailed(folder, async () => {
    await makeFolder(folder)
    try {
      await copyHeld(asset.source, temporary).catch((error: unknown) => {
        throw missing(asset, error)
      })
      await keepTime(asset.source, temporary)
      // Something else may be in its place.
      await rename(temporary, target).catch(async () => {
        await rm(target, { recursive: true, force: true })
        await rename(temporary, target)
      })
    } finally {
      await rm(temporary, { force: true })
    }
  })
  written.set(target, { sha256: asset.sha256, stamp: await stampOf(target) })
}

/** The bytes of an engine. Throws CACHE_FAILED when the cache lost them while this build ran. */
export async function readEngine(asset: EngineAsset): Promise<Buffer> {
  if (asset.size > longestBuffer) throw tooLong(asset)
  try {
    return await readHeld(asset.source)
  } catch (error) {
    throw missing(asset, error)
  }
}

/** Whether these are the bytes of an engine. */
export function hasBytes({ sha256 }: EngineAsset, bytes: string | Uint8Array): boolean {
  return createHash('sha256').update(bytes).digest('hex') === sha256
}

// What Node.js reads into one buffer.
const longestBuffer = 2 ** 31 - 1

function tooLong({ name, size }: EngineAsset): OnnxEngineError {
  return new OnnxEngineError('OUTPUT_FAILED', `engine ${name}`, {
    expected: 'an engine of less than 2 GiB, because this bundler takes engines from memory',
    received: `${size} bytes`,
    hint: 'Use Vite, Rollup, Rolldown or Farm, which copy files, or compile the model by `unplugin-onnx build`',
  })
}

// The time of an engine in the cache is that of its copies, which are then known without reading them. The cache may
// have lost the engine meanwhile: the copy is hashed the next time.
async function keepTime(source: string, copy: string): Promise<void> {
  const time = await timeOf(source)
  if (time !== undefined) await utimes(copy, time, time)
}

/** Seconds. Whole ones: file systems differ in what they keep of the rest. */
async function timeOf(file: string): Promise<number | undefined> {
  const stats = await stat(file).catch(() => undefined)
  return stats && Math.floor(stats.mtimeMs / 1000)
}

// Hashed once in each process: a file of the right size that someone wrote later may be damaged.
const written = new Map<string, { readonly sha256: string; readonly stamp: Stamp }>()

async function isWritten({ source, size, sha256 }: EngineAsset, target: string): Promise<boolean> {
  try {
    const stamp = await stampOf(target)
    if (stamp.size !== String(size)) return false
    // Of a copy that is as new as its source: see keepTime.
    if ((await stat(target)).mtimeMs % 1000 === 0 && (await timeOf(target)) === (await timeOf(source))) return true
    const known = written.get(target)
    if (known?.sha256 === sha256 && sameStamp(known.stamp, stamp)) return true
    if ((await hashFile(target)) !== sha256) return false
    written.set(target, { sha256, stamp })
    return true
  } catch {
    return false
  }
}

function missing({ name, source }: EngineAsset, cause: unknown): unknown {
  if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') return cause
  return new OnnxEngineError('CACHE_FAILED', `engine ${name}`, {
    expected: `the file ${source}`,
    received: 'none: it was removed while this build ran',
    hint: 'Build again',
    cause,
  })
}
