import { existsSync } from 'node:fs'
import { readdir, rename, rm, stat, statfs } from 'node:fs/promises'
import path from 'node:path'
import { unpackArchive } from '../../native/archive.ts'
import { unpackZip } from '../../native/zip.ts'
import { OnnxEngineError, textOf } from '../../runtime/errors.ts'
import { setupFolder } from '../../runtime/library.ts'
import { makeFolder } from '../../runtime/make-folder.ts'
import { acquireLock } from '../files/lock.ts'
import {
  type Installable,
  type InstallableName,
  installables,
  type LibraryPackage,
  mavenRepository,
} from './installables.ts'

export interface SetupOptions {
  /** Which of the pinned releases, such as '10'; the default is the newest. */
  readonly release?: string | undefined
  /** An archive of the user's, to unpack instead of a download. */
  readonly from?: string | undefined
  /** Python package index to download from instead of pip's own. HTTPS. */
  readonly indexUrl?: string | undefined
  /** The user has read the license of the library and agrees to it. Needed for those that are not open source. */
  readonly acceptLicense?: boolean | undefined
  readonly log?: (line: string) => void
  readonly signal?: AbortSignal
}

/**
 * Downloads an engine library with the user's pip or Maven, verifies its SHA-256 and unpacks it into the user's cache
 * folder, where every project finds it; or unpacks an archive that the user has. The folder appears complete or not at
 * all. An interrupted download is resumed by the next call where the tool can. Returns the folder.
 *
 * @throws OnnxEngineError BACKEND_UNAVAILABLE, OPTION_INVALID.
 */
export async function setUpLibrary(name: InstallableName, options: SetupOptions = {}): Promise<string> {
  const installable: Installable = installables[name]
  const where = `unplugin-onnx setup ${name}`
  const { indexUrl, from, release, signal } = options
  if (indexUrl !== undefined && !indexUrl.startsWith('https://')) {
    throw new OnnxEngineError('OPTION_INVALID', `${where}: --index-url`, {
      expected: 'an address that starts with https://',
      received: indexUrl,
    })
  }
  if (from !== undefined && !existsSync(from))
    throw new OnnxEngineError('OPTION_INVALID', `${where}: --from`, { expected: 'a file', received: from })
  const found = from === undefined ? packageFor(installable, where, release) : undefined
  try {
    await makeFolder(setupFolder(''))
    // One at a time: two downloads of one file would disturb each other.
    const lock = await acquireLock(setupFolder('setup.lock'), signal)
    try {
      return found
        ? await installPackage(name, found, options)
        : await installFile(name, path.resolve(String(from)), options)
    } finally {
      await lock.release()
    }
  } catch (cause) {
    if (cause instanceof OnnxEngineError) throw cause
    const full = (cause as NodeJS.ErrnoException).code === 'ENOSPC'
    const hint = full ? `Free some space on the disk of ${setupFolder('')}` : installable.otherwise
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${where}: ${textOf(cause)}`, { hint, cause })
  }
}

/** A library that is set up. */
export interface SetUpLibrary {
  readonly library: InstallableName
  readonly folder: string
  readonly bytes: number
}

/** The libraries that are set up, each with the size of its folder. */
export async function listSetups(): Promise<readonly SetUpLibrary[]> {
  const all = Object.entries(installables) as [InstallableName, Installable][]
  const folders = all.flatMap(([library, { folders }]) =>
    folders.map((folder) => ({ library, folder: setupFolder(folder) })),
  )
  const present = folders.filter(({ folder }) => existsSync(folder))
  return Promise.all(present.map(async (entry) => ({ ...entry, bytes: await sizeOf(entry.folder) })))
}

/** Removes every release of a library that is set up. Returns what was removed. */
export async function removeSetups(name: InstallableName): Promise<readonly SetUpLibrary[]> {
  const present = (await listSetups()).filter(({ library }) => library === name)
  for (const { folder } of present) await rm(folder, { recursive: true, force: true })
  return present
}

function packageFor(installable: Installable, where: string, release: string | undefined): LibraryPackage {
  const machine = `${process.platform}-${process.arch}`
  const packages = installable.packages(machine)
  const [newest] = packages
  if (newest === undefined) {
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', where, {
      expected: `one of the machines ${installable.machines.join(', ')}`,
      received: machine,
      hint: installable.otherwise,
    })
  }
  const found = release === undefined ? newest : packages.find((each) => each.release === release)
  if (found) return found
  throw new OnnxEngineError('OPTION_INVALID', `${where}: --release`, {
    expected: packages.map((each) => each.release).join(' or '),
    received: release,
    hint: installable.otherwise,
  })
}

async function installPackage(name: InstallableName, found: LibraryPackage, options: SetupOptions): Promise<string> {
  const { acceptLicense = false, log = () => {}, indexUrl, signal } = options
  const { license, agreement } = installables[name]
  const folder = setupFolder(found.folder)
  if (existsSync(folder)) {
    log(`${name} is already set up, in ${folder}`)
    return folder
  }
  if (agreement && !acceptLicense) {
    throw new OnnxEngineError('OPTION_INVALID', `unplugin-onnx setup ${name}`, {
      expected: '--accept-license',
      received: `no agreement to ${license}, which covers ${found.title}`,
      hint: 'Read the license on the pages of the library, then run this with --accept-license',
    })
  }
  await requireSpace(found)
  log(`downloading ${found.title} (${license}) with ${found.tool}`)
  const file = await found.download({ indexUrl, signal, log })
  log('unpacking')
  await unpackZip(file, folder, (entry) => found.place(entry), signal)
  await rm(found.tool === 'Maven' ? mavenRepository() : file, { recursive: true, force: true })
  log(`${name} is set up in ${folder}`)
  return folder
}

async function installFile(name: InstallableName, from: string, options: SetupOptions): Promise<string> {
  const { log = () => {}, signal } = options
  const { folders, placeFromFile }: Installable = installables[name]
  const folder = setupFolder(folders[0])
  const fresh = `${folder}.new`
  await rm(fresh, { recursive: true, force: true })
  log(`unpacking ${from}`)
  await unpackArchive(from, fresh, placeFromFile, signal)
  await rm(folder, { recursive: true, force: true })
  await rename(fresh, folder)
  log(`${name} is set up in ${folder}`)
  return folder
}

// Before hundreds of megabytes are downloaded for nothing: the package and what it holds.
async function requireSpace({ title, bytes }: LibraryPackage): Promise<void> {
  const { bavail, bsize } = await statfs(setupFolder(''))
  const [free, needed] = [bavail * bsize, 1.6 * bytes].map((size) => Math.round(size / 1e6)) as [number, number]
  if (free >= needed) return
  const text = `${title} needs about ${needed} MB, and ${setupFolder('')} has ${free} MB left`
  throw Object.assign(new Error(text), { code: 'ENOSPC' })
}

async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name))
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}
