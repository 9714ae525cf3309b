import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { appendFile, lstat, rm } from 'node:fs/promises'
import path from 'node:path'
import { makeFolder } from '../../runtime/make-folder.ts'
import { fileTime } from '../files/file-clock.ts'
import { hostTag, isRunning } from '../files/owner.ts'
import { readRegular } from '../files/regular-file.ts'
import { listFiles, type Folder } from './folder.ts'

/** Notes which engines this process was given, until it ends: no other process removes them meanwhile. */
export function openLeases(folder: Folder): (digest: string) => Promise<void> {
  const file = path.join(folder.leases, `${process.pid}-${hostTag}-${randomUUID()}`)
  const noted = new Set<string>()
  return async (digest) => {
    if (noted.has(digest)) return
    noted.add(digest)
    if (files.size === 0) process.once('exit', removeAll)
    files.add(file)
    try {
      await appendFile(file, `${digest}\n`).catch(async () => {
        await makeFolder(folder.leases)
        await appendFile(file, `${digest}\n`)
      })
    } catch {
      // A folder that cannot be written: nobody can remove anything from it either.
    }
  }
}

/** Key digests of the engines that running processes were given; what dead ones left is removed. */
export async function leasedDigests(folder: Folder, grace: number): Promise<ReadonlySet<string>> {
  const leased = new Set<string>()
  for (const file of await listFiles(folder.leases)) {
    if (await isAlive(file, grace)) {
      const text = await readRegular(file, limit).catch(() => '')
      for (const digest of text.split('\n')) leased.add(digest)
    } else if (leaseName.test(path.basename(file))) await rm(file, { force: true })
  }
  return leased
}

const leaseName = /^(\d+)-([0-9a-f]{8})-[0-9a-f-]{36}$/

const limit = 16 << 20

// Whether a process of another host lives cannot be known: its engines stay for a while after the last one it took.
async function isAlive(file: string, grace: number): Promise<boolean> {
  const [, pid, host] = leaseName.exec(path.basename(file)) ?? []
  if (pid === undefined) return false
  if (host === hostTag) return isRunning({ pid: Number(pid) })
  const found = await lstat(file).catch(() => undefined)
  return found !== undefined && (await fileTime(path.dirname(file))) - found.mtimeMs < grace
}

// One listener, however many stores: Node warns of the eleventh.
const files = new Set<string>()

function removeAll(): void {
  for (const file of files) {
    try {
      rmSync(file, { force: true })
    } catch {
      // The next removal finds that this process is dead.
    }
  }
}
