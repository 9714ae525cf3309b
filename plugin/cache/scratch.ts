import { rmSync } from 'node:fs'
import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { isRunning } from '../files/lock.ts'
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

/**
 * Nothing is made before the first engine; all is removed when the process exits, or when the next one does this after
 * it was killed.
 */
export function openScratch(): Scratch {
  const engines = new Map<string, Placed>()
  let folder: Promise<string> | undefined

  async function place(digest: string, make: (file: string) => Promise<Entry>): Promise<Placed> {
    const file = path.join(await (folder ??= makeFolder()), digest)
    try {
      const placed = { entry: await make(file), file }
      engines.set(digest, placed)
      return placed
    } catch (error) {
      await rm(file, { force: true })
      throw error
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

// The name has the owner's pid: a process that was killed cannot remove its own folder, so the next one does.
async function makeFolder(): Promise<string> {
  for (const name of await readdir(tmpdir())) {
    const [, pid] = /^unplugin-onnx-(\d+)-/.exec(name) ?? []
    if (pid !== undefined && !isRunning(Number(pid)))
      await rm(path.join(tmpdir(), name), { recursive: true, force: true }).catch(() => {})
  }
  const dir = await mkdtemp(path.join(tmpdir(), `unplugin-onnx-${process.pid}-`))
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  return dir
}
