import { createHash, randomUUID } from 'node:crypto'
import { readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { makeFolder } from '../make-folder.ts'

/**
 * How much is kept: NVIDIA advises against a larger cache of one engine, since reading it then costs more than it
 * saves.
 */
const limits = { file: 100 * 2 ** 20, folder: 2 ** 30 }

/**
 * Kernels that TensorRT-RTX compiled for a GPU, in a file of the end user's cache folder: they save the next start some
 * seconds.
 */
export interface KernelCache {
  /** What was kept; empty when nothing was, or when it is damaged. */
  read(): Promise<Uint8Array>
  /**
   * Replaces it, unless it has not changed or is too large, and removes what was not used for longest from a folder
   * that has grown too large. Losing it is no failure: a full disk must not fail dispose().
   */
  keep(bytes: Uint8Array): Promise<void>
}

/** `file` names the engine, the GPU, the driver and the release; no two of those can share kernels. */
export function openKernelCache(
  file: string,
  { file: mostBytes, folder: mostInFolder }: typeof limits = limits,
): KernelCache {
  let known = ''
  return {
    async read() {
      try {
        const stored = await readFile(file)
        const bytes = stored.subarray(digestBytes)
        const digest = stored.subarray(0, digestBytes).toString('hex')
        if (digest !== (await digestOf(bytes))) return new Uint8Array(0)
        known = digest
        const now = new Date()
        await utimes(file, now, now).catch(() => {})
        return bytes
      } catch {
        return new Uint8Array(0)
      }
    },
    async keep(bytes) {
      if (bytes.length === 0 || bytes.length > mostBytes) return
      const digest = await digestOf(bytes)
      if (digest === known) return
      // Its own name: another process, or another model of this one, may keep kernels of the same engine.
      const temporary = `${file}.${randomUUID()}.tmp`
      try {
        await makeFolder(path.dirname(file))
        await writeFile(temporary, [Buffer.from(digest, 'hex'), bytes])
        await rename(temporary, file)
        known = digest
        await shrink(path.dirname(file), mostInFolder)
      } catch {
        await rm(temporary, { force: true }).catch(() => {})
      }
    },
  }
}

const digestBytes = 32

// In slices, half a millisecond each: the event loop must not wait for a large cache.
const sliceBytes = 1 << 20

async function digestOf(bytes: Uint8Array): Promise<string> {
  const hash = createHash('sha256')
  for (let offset = 0; offset < bytes.length; offset += sliceBytes) {
    hash.update(bytes.subarray(offset, offset + sliceBytes))
    await setImmediate()
  }
  return hash.digest('hex')
}

async function shrink(folder: string, most: number): Promise<void> {
  const names = await readdir(folder)
  const files = await Promise.all(
    names.map(async (name) => {
      const file = path.join(folder, name)
      // One that another process has just removed.
      const { size, mtimeMs } = await stat(file).catch(() => ({ size: 0, mtimeMs: 0 }))
      return { file, size, mtimeMs }
    }),
  )
  let sum = 0
  for (const { file, size } of files.sort((a, b) => b.mtimeMs - a.mtimeMs)) {
    sum += size
    if (sum > most) await rm(file, { force: true })
  }
}
