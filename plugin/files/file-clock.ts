import { randomUUID } from 'node:crypto'
import { rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../../runtime/make-folder.ts'

/**
 * Whole milliseconds since the epoch by the clock of the file system that holds `folder`, which is made if it is
 * missing: that of a file server, or of another host that shares the folder, may differ from ours by hours. Where
 * nothing can be written, the time of this host.
 */
export async function fileTime(folder: string): Promise<number> {
  const probe = join(folder, `clock.json.${randomUUID()}`)
  try {
    await writeFile(probe, '', { flag: 'wx' }).catch(async () => {
      await makeFolder(folder)
      await writeFile(probe, '', { flag: 'wx' })
    })
    return Math.floor((await stat(probe)).mtimeMs)
  } catch {
    return Date.now()
  } finally {
    await rm(probe, { force: true }).catch(() => {})
  }
}
