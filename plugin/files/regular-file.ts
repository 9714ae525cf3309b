import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/**
 * Opens a file to read it. Rejects with EINVAL for what is no regular file: to open a FIFO would wait for ever, and a
 * device has no end.
 *
 * @param options `follow: false` refuses links as well, with ELOOP
 */
export async function openRegular(file: string, { follow = true } = {}): Promise<FileHandle> {
  // Windows has neither flag.
  const { O_RDONLY, O_NONBLOCK = 0, O_NOFOLLOW = 0 } = constants as Partial<typeof constants> & { O_RDONLY: number }
  const handle = await open(file, O_RDONLY | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW))
  const isFile = await handle.stat().then(
    (found) => found.isFile(),
    () => false,
  )
  if (isFile) return handle
  await handle.close()
  throw Object.assign(new Error(`EINVAL: not a regular file, open '${file}'`), { code: 'EINVAL', path: file })
}

/** The text of a regular file of at most `limit` bytes; EFBIG for a larger one. Links are refused. */
export async function readRegular(file: string, limit: number): Promise<string> {
  const handle = await openRegular(file, { follow: false })
  try {
    const { size } = await handle.stat()
    if (size > limit) throw Object.assign(new Error(`EFBIG: ${size} bytes, read '${file}'`), { code: 'EFBIG' })
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}
