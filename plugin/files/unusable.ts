/** Whether an error, or its cause, means that a folder cannot be written or is not a folder. */
export function isUnusable(error: unknown): boolean {
  return codesOf(error).some((code) => unusable.has(code))
}

const unusable: ReadonlySet<string> = new Set([
  'ENOSPC',
  'EDQUOT',
  'EROFS',
  'EACCES',
  'EPERM',
  'ENOTDIR',
  'EEXIST',
  'EIO',
  'ENAMETOOLONG',
  // Something else has the name of a file or folder: a folder, a link to itself, a FIFO.
  'EISDIR',
  'ELOOP',
  'EINVAL',
  'ENXIO',
  'ENOTEMPTY',
])

/** The system's codes of an error and of what caused it. */
export function codesOf(error: unknown): readonly string[] {
  const codes: string[] = []
  for (let cause = error; cause instanceof Error && codes.length < 8; cause = cause.cause) {
    codes.push(String((cause as NodeJS.ErrnoException).code))
  }
  return codes
}
