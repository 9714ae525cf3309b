// Files that several processes use at once: this one writes them whole, lock.ts lets one process at a time in, hash.ts
// names their content, unusable.ts recognizes folders and disks that cannot be used.
import { randomUUID } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { makeFolder } from '../../runtime/make-folder.ts'

/**
 * Writes a file as a whole: readers see the old text or the new one, even when this process is killed in between.
 */
export async function replaceFile(file: string, text: string): Promise<void> {
  const temporary = `${file}.${randomUUID()}`
  await makeFolder(path.dirname(file))
  try {
    await writeFile(temporary, text, { flag: 'wx' })
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
}

/** Whether a file name is that of a temporary file of `replaceFile`, which is garbage when it is old. */
export function isTemporary(file: string): boolean {
  return /\.json\.[0-9a-f-]{36}$/.test(file)
}
