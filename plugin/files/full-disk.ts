import { statfs } from 'node:fs/promises'
import { codesOf } from './unusable.ts'

/** A disk that filled up while something was written to it. Its code is ENOSPC. */
export class FullDiskError extends Error {
  override readonly name = 'FullDiskError'
  readonly code = 'ENOSPC'

  constructor(folder: string, cause: unknown) {
    super(`ENOSPC: the disk of ${folder} is full`, { cause })
  }
}

/**
 * The error of a build whose disk is full; undefined when it failed for another reason. To be called before anything is
 * removed: compilers seldom say why they cannot write, and a moment later there is space again.
 */
export async function fullDisk(error: unknown, folder: string): Promise<FullDiskError | undefined> {
  if (codesOf(error).some((code) => code === 'ENOSPC' || code === 'EDQUOT')) return new FullDiskError(folder, error)
  const { bavail, bsize } = await statfs(folder).catch(() => ({ bavail: Infinity, bsize: 1 }))
  return bavail * bsize < least ? new FullDiskError(folder, error) : undefined
}

/** Bytes that no disk which takes an engine comes down to. */
const least = 1 << 16
