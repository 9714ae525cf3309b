import { statfs } from 'node:fs/promises'

/** Whether an error, or its cause, means that a folder cannot be written or is not a folder. */
export function isUnusable(error: unknown): boolean {
  return codesOf(error).some((code) => unusable.has(code))
}

/** Whether a build failed because the disk of `dir` is full. The compiler's own error seldom has a code for it. */
export async function isFull(error: unknown, dir: string): Promise<boolean> {
  if (codesOf(error).some((code) => full.has(code))) return true
  const { bavail, bsize } = await statfs(dir).catch(() => ({ bavail: Infinity, bsize: 1 }))
  return bavail * bsize < 1 << 16
}

const full: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT'])

const unusable: ReadonlySet<string> = new Set([
  ...full,
  'EROFS',
  'EACCES',
  'EPERM',
  'ENOTDIR',
  'EEXIST',
  'EIO',
  'ENAMETOOLONG',
])

function codesOf(error: unknown): readonly string[] {
  const codes: string[] = []
  for (let cause = error; cause instanceof Error && codes.length < 8; cause = cause.cause) {
    codes.push(String((cause as NodeJS.ErrnoException).code))
  }
  return codes
}
