import { constants } from 'node:fs'
import { lstat, open, readdir } from 'node:fs/promises'
import path from 'node:path'
import { makeFolder } from '../../runtime/make-folder.ts'

/**
 * The cache on disk. Everything below `root` may be deleted at any time.
 *
 *     v1/content-v2/sha256/ab/cd/ef...   engines by their own SHA-256       (cacache)
 *     v1/index-v5/...                    key digest -> entry                (cacache)
 *     v1/imports/<hash>.json            import -> its last entry
 *     v1/used/<key digest>               empty; its mtime is the last use
 *     v1/locks/<key digest>.lock         one build at a time
 *     v1/tmp/<lock token>/               what a build is writing; garbage as soon as the lock's holder is dead
 *     v1/leases/<pid>-<host>-<uuid>      key digests that a running process was given
 *     v1/measurements/<key digest>.json  what a tool measured of an engine last
 *     v1/starts/<hash>.json              models of plain Node.js: what a start needs when nothing has changed
 *     v1/jest/<hash>.cjs                 modules that Jest loads instead of models
 *     v1/collected                       empty; its mtime is the last collection
 *     v1/stat-index.json                 digests of files whose stat did not change
 */
export interface Folder {
  readonly root: string
  readonly statIndex: string
  readonly collected: string
  readonly contents: string
  readonly imports: string
  readonly locks: string
  readonly temporaries: string
  readonly leases: string
  readonly index: string
  readonly starts: string
  readonly jest: string
  readonly measurements: string
  /** Every folder that the cache makes below its root, none of which may be a link. */
  readonly places: readonly string[]
  content(sha256: string): string
  used(digest: string): string
  lock(digest: string): string
  temporary(token: string): string
  importRecord(hash: string): string
  measurement(digest: string): string
}

export function folderAt(dir: string): Folder {
  const root = path.join(path.resolve(dir), 'v1')
  const within = (name: string) => path.join(root, name)
  const names = [
    'content-v2',
    'imports',
    'locks',
    'tmp',
    'leases',
    'index-v5',
    'starts',
    'measurements',
    'jest',
    'used',
  ]
  const places = names.map(within)
  const [contents, imports, locks, temporaries, leases, index, starts, measurements, jest] =
    places as readonly string[] as Places
  return {
    root,
    statIndex: within('stat-index.json'),
    collected: within('collected'),
    contents,
    imports,
    locks,
    temporaries,
    leases,
    index,
    starts,
    jest,
    measurements,
    places: [...places, path.join(contents, 'sha256')],
    content: (sha256) => path.join(contents, 'sha256', sha256.slice(0, 2), sha256.slice(2, 4), sha256.slice(4)),
    used: (digest) => path.join(root, 'used', digest),
    lock: (digest) => path.join(locks, `${digest}.lock`),
    temporary: (token) => path.join(temporaries, token),
    importRecord: (hash) => path.join(imports, `${hash}.json`),
    measurement: (digest) => path.join(measurements, `${digest}.json`),
  }
}

type Places = readonly [string, string, string, string, string, string, string, string, string, string]

/** Sets the mtime of a file of one byte to the file system's time. A folder that cannot be written loses the time. */
export async function touch(file: string): Promise<void> {
  try {
    await writeByte(file).catch(async () => {
      await makeFolder(path.dirname(file))
      await writeByte(file)
    })
  } catch {}
}

// Not through a link, and without waiting for the reader of a FIFO. A write takes the clock of the file system.
async function writeByte(file: string): Promise<void> {
  const { O_WRONLY, O_CREAT, O_NONBLOCK = 0, O_NOFOLLOW = 0 } = constants as Partial<Flags> & Writing
  const handle = await open(file, O_WRONLY | O_CREAT | O_NONBLOCK | O_NOFOLLOW)
  try {
    await handle.write('.', 0)
  } finally {
    await handle.close()
  }
}

type Flags = typeof constants

type Writing = Pick<Flags, 'O_WRONLY' | 'O_CREAT'>

/** When a file was touched last, in milliseconds by the file system's clock; 0 when that is not known. */
export async function touched(file: string): Promise<number> {
  return (await lstat(file).catch(() => ({ mtimeMs: 0 }))).mtimeMs
}

/** Absolute paths of the entries of a folder; none when there is no such folder. */
export async function listFiles(dir: string): Promise<readonly string[]> {
  try {
    return (await readdir(dir)).map((name) => path.join(dir, name))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
