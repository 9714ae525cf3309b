import { lstat, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Folder } from './folder.ts'

/**
 * Refuses a cache that somebody else can fill, as git refuses the repository of another owner: engines and their
 * checksums are in the same folder. Links instead of its folders are refused as well, because what is removed from the
 * cache would be removed elsewhere.
 *
 * @throws OnnxEngineError CACHE_FAILED
 */
export async function checkFolder(folder: Folder): Promise<void> {
  const places = [folder.root, ...folder.places]
  const owned = [dirname(folder.root), folder.root]
  // All at once: each of them is quick, and waiting for one after the other is not.
  const [kinds, owners] = await Promise.all([
    Promise.all(places.map((place) => lstat(place).catch(() => undefined))),
    Promise.all(owned.map((place) => stat(place).catch(() => undefined))),
  ])
  for (const [index, place] of places.entries()) {
    const found = kinds[index]
    if (found && !found.isDirectory()) {
      throw new OnnxEngineError('CACHE_FAILED', `the cache folder ${folder.root}`, {
        expected: `a folder at ${place}`,
        received: found.isSymbolicLink() ? 'a link' : 'something else',
        hint: 'Remove it: the cache makes its own folders. To keep the cache elsewhere, set cache.dir',
      })
    }
  }
  for (const [index, place] of owned.entries()) {
    const found = owners[index]
    const received = found && stranger(found.uid, found.mode)
    if (received !== undefined) {
      throw new OnnxEngineError('CACHE_FAILED', `the cache folder ${place}`, {
        expected: 'a folder that only its owner, who runs this build, can write',
        received,
        hint:
          'Change its owner or mode, choose another folder with cache.dir, or, when all who can write to it may run ' +
          `code in your builds, set the environment variable ${variable}=1`,
      })
    }
  }
}

const variable = 'UNPLUGIN_ONNX_TRUST_CACHE'

/** What is wrong with the owner or the mode of a folder of the cache. */
export function stranger(uid: number, mode: number): string | undefined {
  if (process.env[variable] === '1' || process.getuid === undefined) return undefined
  const own = process.getuid?.()
  // As git does: who builds by sudo owns what the user before it owns.
  const before = own === 0 ? Number(process.env['SUDO_UID'] ?? own) : own
  if (uid !== own && uid !== before) return `one of the user ${uid}, in a build of the user ${own}`
  // Where the sticky bit is set, as on /tmp, nobody can replace what another user has made.
  const isOpen = (mode & 0o1002) === 0o002
  return isOpen ? `one that everybody can write (mode ${(mode & 0o7777).toString(8)})` : undefined
}
