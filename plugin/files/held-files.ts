import { createReadStream, createWriteStream, openSync } from 'node:fs'
import { copyFile, constants, readFile, rm } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'

// Open until the process ends. What is removed by others stays readable through its descriptor.
const held = new Map<string, number>()

/** Descriptors that are left to the rest of the process, whose limit is 1024 on many systems. */
const most = 512

/**
 * Keeps the bytes of a file until this process ends, although another process removes the file. Windows does not remove
 * files that are open, so that nothing is held there.
 */
export function holdFile(file: string): void {
  if (process.platform === 'win32' || held.has(file) || held.size >= most) return
  try {
    held.set(file, openSync(file, 'r'))
  } catch {
    // It is gone already: who asks for it learns that.
  }
}

/** Copies a file, or what this process holds of it when it is gone. Rejects with ENOENT when it holds nothing. */
export async function copyHeld(file: string, target: string): Promise<void> {
  try {
    await copyFile(file, target, constants.COPYFILE_FICLONE)
  } catch (error) {
    const stream = heldStream(file, error)
    await rm(target, { force: true })
    await pipeline(stream, createWriteStream(target, { flags: 'wx' }))
  }
}

/** The bytes of a file, or what this process holds of it when it is gone. Rejects with ENOENT when it holds nothing. */
export async function readHeld(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    return await buffer(heldStream(file, error))
  }
}

function heldStream(file: string, error: unknown): NodeJS.ReadableStream {
  const descriptor = held.get(file)
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || descriptor === undefined) throw error
  return createReadStream(file, { fd: descriptor, autoClose: false, start: 0 })
}
