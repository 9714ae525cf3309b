import { createHash, randomUUID } from 'node:crypto'
import { readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { makeFolder } from '../make-folder.ts'

/**
 * How many bytes are kept: NVIDIA advises against a larger cache for one engine, because reading it then costs more
 * than it saves.
 */
const limits = { file: 100 * 2 ** 20, folder: 2 ** 30 }

/**
 * Kernels that TensorRT-RTX compiled for a GPU, in a file in the end user's cache folder: they save seconds at the next
 * start.
 */
export interface KernelCache {
  /** What was saved; empty when nothing was, or when it is damaged. */
  read(): Promise<Uint8Array>
  /**
   * Replaces it, unless it is unchanged or too large, and removes the files that were not used for longest from a
   * folder that has grown too large. Losing it is no failure: a full disk must not fail dispose().
   */
  save(bytes: Uint8Array): Promise<void>
}

/** The name of `file` contains the engine, the GPU, the driver and the release: kernels fit one combination only. */
export function openKernelCache(
  file: string,
  { file: mostBytes, folder: mostInFolder }: typeof limits = limits,
): KernelCache {
  let savedDigest = ''
  return {
    async read() {
      try {
        const stored = await readFile(file)
        const bytes = stored.subarray(digestBytes)
        const digest = stored.subarray(0, digestBytes).toString('hex')
        if (digest !== (await digestOf(bytes))) return new Uint8Array(0)
        savedDigest = digest
        const now = new Date()
        await utimes(file, now, now).catch(() => {})
        return bytes
      } catch {
        return new Uint8Array(0)
      }
    },
    async save(bytes) {
      if (bytes.length === 0 || bytes.length > mostBytes) return
      const digest = await digestOf(bytes)
      if (digest === savedDigest) return
      // A unique name: another process, or another model of this one, may save kernels of the same engine.
      const temporary = `${file}.${randomUUID()}.tmp`
      try {
        await makeFolder(path.dirname(file))
        await writeFile(temporary, [Buffer.from(digest, 'hex'), bytes])
        await rename(temporary, file)
        savedDigest = digest
        await shrinkFolder(path.dirname(file), mostInFolder)
      } catch {
        await rm(temporary, { force: true }).catch(() => {})
      }
    },
  }
}

const digestBytes = 32

// In slices of half a millisecond, so that a large cache does not hold the event loop.
const sliceBytes = 1 << 20

async function digestOf(bytes: Uint8Array): Promise<string> {
  const hash = createHash('sha256')
  for (let offset = 0; offset < bytes.length; offset += sliceBytes) {
    hash.update(bytes.subarray(offset, offset + sliceBytes))
    await setImmediate()
  }
  return hash.digest('hex')
}

async function shrinkFolder(folder: string, most: number): Promise<void> {
  const names = await readdir(folder)
  const files = await Promise.all(
    names.map(async (name) => {
      const file = path.join(folder, name)
      // Another process may have removed it just now.
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
