import { readdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { lockHolder, tryLock } from '../files/lock.ts'
import { isTemporary } from '../files/replace-file.ts'
import { removeEntry } from './entries.ts'
import { listFiles, type Folder } from './folder.ts'
import { listImportRecords, removeImportRecord } from './import-records.ts'
import type { StoreEntry } from './list.ts'

export interface Collected {
  /** Engines that were removed. */
  readonly removed: readonly StoreEntry[]
  /** Bytes that were freed, leftovers of killed processes included. */
  readonly bytes: number
}

export interface Limits {
  readonly maxSize: number
  readonly maxAge: number
  /** Key digests that this process has handed out. */
  readonly inUse: ReadonlySet<string>
}

/**
 * Removes leftovers of killed processes, engines that were not used for `maxAge`, then as many as it takes to come down
 * to `maxSize`: superseded ones first, the least recently used first. An engine that this process handed out, that
 * another process may be copying, or whose key is locked stays. 'everything' leaves only what is being built.
 */
export async function collectGarbage(
  folder: Folder,
  entries: readonly StoreEntry[],
  limits: Limits | 'everything',
): Promise<Collected> {
  const holders = new Set<string>()
  let bytes = await removeLeftovers(folder, holders)
  const removed: StoreEntry[] = []
  let kept = [...entries]
  for (const entry of inOrderOfWorth(entries)) {
    if (limits !== 'everything' && !isUnwanted(entry, kept, limits)) continue
    const lock = await tryLock(folder.lock(entry.digest))
    if (!lock) continue
    try {
      await removeEntry(folder, entry, kept)
    } finally {
      await lock.release()
    }
    kept = kept.filter((other) => other !== entry)
    removed.push(entry)
    bytes += entry.size
  }
  const nobodyBuilds = limits === 'everything' && holders.size === 0
  bytes += await removeOrphans(folder, new Set(kept.map(({ file }) => file)), nobodyBuilds ? 0 : grace)
  await forgetImports(folder, kept, limits === 'everything' ? 0 : limits.maxAge)
  return { removed, bytes }
}

/** Milliseconds in which another process may still be reading what it was given. */
const grace = 5 * 60_000

function isUnwanted(entry: StoreEntry, kept: readonly StoreEntry[], { maxSize, maxAge, inUse }: Limits): boolean {
  const age = Date.now() - entry.used
  if (inUse.has(entry.digest) || age < grace) return false
  return age > maxAge || kept.reduce((sum, { size }) => sum + size, 0) > maxSize
}

function inOrderOfWorth(entries: readonly StoreEntry[]): readonly StoreEntry[] {
  const superseded = entries.filter(({ imports }) => imports.length === 0)
  const current = entries.filter(({ imports }) => imports.length > 0)
  return [superseded, current].flatMap((group) => group.sort((a, b) => a.used - b.used))
}

// The temporary folders are listed before the locks: one whose lock is missing then belongs to nobody any more.
async function removeLeftovers(folder: Folder, holders: Set<string>): Promise<number> {
  const temporaries = await listFiles(folder.temporaries)
  const locks = await listFiles(folder.locks)
  for (const file of locks.filter((file) => file.endsWith('.lock'))) {
    const holder = await lockHolder(file)
    if (holder) holders.add(holder)
    else await (await tryLock(file))?.release()
  }
  let bytes = 0
  for (const dir of temporaries.filter((dir) => !holders.has(path.basename(dir)))) {
    bytes += await sizeOf(dir)
    await rm(dir, { recursive: true, force: true })
  }
  const drafts = [...(await listFiles(folder.root)), ...(await listFiles(folder.imports))].filter(isTemporary)
  for (const file of [...drafts, ...locks.filter((file) => !file.endsWith('.lock'))]) {
    if ((await ageOf(file)) > grace) await rm(file, { force: true })
  }
  return bytes
}

// Content that no entry names: its process was killed between the two writes, or has not come to the second one yet.
async function removeOrphans(folder: Folder, named: ReadonlySet<string>, age: number): Promise<number> {
  let bytes = 0
  const contents = await readdir(folder.contents, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const content of contents.filter((content) => content.isFile())) {
    const file = path.join(content.parentPath, content.name)
    if (named.has(file) || (await ageOf(file)) < age) continue
    bytes += await sizeOf(file)
    await rm(file, { force: true })
  }
  return bytes
}

// An import whose engine was collected keeps its words for a while: 'weights changed' says more than 'new'.
async function forgetImports(folder: Folder, kept: readonly StoreEntry[], maxAge: number): Promise<void> {
  const alive = new Set(kept.map(({ digest }) => digest))
  for (const { importKey, entry, at } of await listImportRecords(folder)) {
    if (!alive.has(entry.digest) && Date.now() - at >= maxAge) await removeImportRecord(folder, importKey)
  }
}

/** Milliseconds since a file was written or moved; 0 when it is gone. */
async function ageOf(file: string): Promise<number> {
  const now = Date.now()
  return now - (await stat(file).catch(() => ({ ctimeMs: now }))).ctimeMs
}

/** Bytes in a file or a folder; 0 when it is gone. */
async function sizeOf(target: string): Promise<number> {
  const found = await stat(target).catch(() => undefined)
  if (!found?.isDirectory()) return found?.size ?? 0
  const sizes = await Promise.all((await listFiles(target)).map(sizeOf))
  return sizes.reduce((sum, size) => sum + size, 0)
}
