import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a folder and its missing parents. Step by step, because Node's own recursive `mkdir` (20 to 26) never ends in a
 * folder that exists but answers ENOENT to every new one, such as /proc. Rejects with the system's error, and with
 * ENOTDIR for such a folder.
 */
export async function makeFolder(folder: string): Promise<void> {
  const first = await tryFolder(folder)
  if (first === undefined) return
  const parent = dirname(folder)
  if (first.code !== 'ENOENT' || parent === folder) throw first
  await makeFolder(parent)
  // Another process may have made the parent meanwhile, so only the second answer counts.
  const second = await tryFolder(folder)
  if (second?.code === 'ENOENT')
    throw Object.assign(new Error(`${parent} cannot contain folders: ${second.message}`, { cause: second }), {
      code: 'ENOTDIR',
      syscall: 'mkdir',
    })
  if (second) throw second
}

async function tryFolder(folder: string): Promise<NodeJS.ErrnoException | undefined> {
  try {
    await mkdir(folder)
    return undefined
  } catch (error) {
    // Some systems answer EROFS or EACCES for a folder that exists.
    return (await isFolder(folder)) ? undefined : (error as NodeJS.ErrnoException)
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}
