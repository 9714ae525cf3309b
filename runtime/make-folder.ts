import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a folder, and those around it that are missing. Step by step, because Node's own recursive `mkdir` (20 to 26)
 * never ends below a folder that exists but answers ENOENT to every new one, such as /proc. Rejects with the error of
 * the system; ENOTDIR stands for that one.
 */
export async function makeFolder(folder: string): Promise<void> {
  const first = await tryFolder(folder)
  if (first === undefined) return
  const parent = dirname(folder)
  if (first.code !== 'ENOENT' || parent === folder) throw first
  await makeFolder(parent)
  // Another process may have made the folder around it meanwhile, so only the second answer counts.
  const second = await tryFolder(folder)
  if (second?.code === 'ENOENT')
    throw Object.assign(new Error(`${parent} takes no folders: ${second.message}`, { cause: second }), {
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
    // Some systems say EROFS or EACCES of a folder that is there.
    return (await isFolder(folder)) ? undefined : (error as NodeJS.ErrnoException)
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}
