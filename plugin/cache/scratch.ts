import { copyFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { fullDisk } from '../files/full-disk.ts'
import { folderUntilExit } from '../files/temporary-folder.ts'
import { buildEntry, type Build, type StoreRequest } from './build.ts'
import type { Entry } from './entries.ts'

/** An engine and its path. */
export interface Placed {
  readonly entry: Entry
  readonly file: string
}

/** Engines outside the cache, for this process alone: what the cache folder could not take. */
export interface Scratch {
  find(digest: string): Placed | undefined
  build(request: StoreRequest, build: Build): Promise<Placed>
  /** Takes a copy of an engine that was built, but could not be stored. */
  adopt(built: Placed): Promise<Placed>
}

/** Nothing is made before the first engine; all is removed when the process exits. */
export function openScratch(): Scratch {
  const engines = new Map<string, Placed>()
  let folder: Promise<string> | undefined

  async function place(digest: string, make: (file: string) => Promise<Entry>): Promise<Placed> {
    const file = path.join(await (folder ??= folderUntilExit()), digest)
    try {
      const placed = { entry: await make(file), file }
      engines.set(digest, placed)
      return placed
    } catch (error) {
      const full = await fullDisk(error, path.dirname(file))
      await rm(file, { force: true })
      throw full ?? error
    }
  }

  return {
    find: (digest) => engines.get(digest),
    build: (request, build) => place(request.key.digest, (file) => buildEntry(request, build, file)),
    adopt: ({ entry, file: from }) =>
      place(entry.digest, async (file) => {
        await copyFile(from, file)
        return entry
      }),
  }
}
