import { lstat, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { fileTime } from '../files/file-clock.ts'
import { lockHolder, tryLock } from '../files/lock.ts'
import { isTemporary } from '../files/replace-file.ts'
import { removeEntry } from './entries.ts'
import { listFiles, touched, type Folder } from './folder.ts'
import { listImportRecords, removeImportRecord } from './import-records.ts'
import { leasedDigests } from './leases.ts'
import type { StoreEntry } from './list.ts'
import { forgetMeasurements } from './measurements.ts'

export interface Collected {
  /** Engines that were removed. */
  readonly removed: readonly StoreEntry[]
  /** Bytes that were freed, leftovers of killed processes included. */
  readonly bytes: number
}

export interface Limits {
  readonly maxSize: number
  readonly maxAge: number
}

/**
 * Removes leftovers of killed processes, engines that were not used for `maxAge`, then as many as it takes to come down
 * to `maxSize`: superseded ones first, the least recently used first. An engine that a running process was given, that
 * was used in the last minutes, or whose key is locked stays. 'everything' leaves only what running processes were
 * given or build.
 */
export async function collectGarbage(
  folder: Folder,
  entries: readonly StoreEntry[],
  limits: Limits | 'everything',
): Promise<Collected> {
  const holders = new Set<string>()
  const now = await fileTime(folder.root)
  const leased = await leasedDigests(folder, grace)
  let bytes = await removeLeftovers(folder, holders, now)
  const removed: StoreEntry[] = []
  let kept = [...entries]
  for (const entry of inOrderOfWorth(entries)) {
    if (leased.has(entry.digest)) continue
    if (limits !== 'everything' && !isUnwanted(entry, kept, { ...limits, now })) continue
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
  const before = nobodyBuilds ? Infinity : now - grace
  bytes += await removeOrphans(folder, new Set(kept.map(({ file }) => file)), before)
  const oldest = limits === 'everything' ? Infinity : now - limits.maxAge
  await forgetOld(folder.starts, startName, oldest)
  await forgetOld(folder.jest, stubName, Math.min(oldest, now - grace))
  await forgetImports(folder, kept, limits === 'everything' ? 0 : limits.maxAge)
  await forgetMeasurements(folder, new Set(kept.map(({ digest }) => digest)))
  return { removed, bytes }
}

/** Milliseconds in which another process may still be reading what it was given. */
const grace = 5 * 60_000

interface LimitsNow extends Limits {
  /** Milliseconds since the epoch by the file system's clock, which may not be ours. */
  readonly now: number
}

function isUnwanted(entry: StoreEntry, kept: readonly StoreEntry[], { maxSize, maxAge, now }: LimitsNow): boolean {
  const age = now - entry.used
  if (age < grace) return false
  return age > maxAge || kept.reduce((sum, { size }) => sum + size, 0) > maxSize
}

function inOrderOfWorth(entries: readonly StoreEntry[]): readonly StoreEntry[] {
  const superseded = entries.filter(({ imports }) => imports.length === 0)
  const current = entries.filter(({ imports }) => imports.length > 0)
  return [superseded, current].flatMap((group) => group.sort((a, b) => a.used - b.used))
}

// The temporary folders are listed before the locks: one whose lock is missing then belongs to nobody any more.
async function removeLeftovers(folder: Folder, holders: Set<string>, now: number): Promise<number> {
  const temporaries = (await listFiles(folder.temporaries)).filter((dir) => tokenName.test(path.basename(dir)))
  const locks = await listFiles(folder.locks)
  for (const file of locks.filter((file) => lockName.test(path.basename(file)))) {
    const holder = await lockHolder(file)
    if (holder) holders.add(holder)
    else await (await tryLock(file))?.release()
  }
  let bytes = 0
  for (const dir of temporaries.filter((dir) => !holders.has(path.basename(dir)))) {
    bytes += await sizeOf(dir)
    await rm(dir, { recursive: true, force: true })
  }
  const written = [folder.root, folder.imports, folder.measurements]
  const drafts = (await Promise.all(written.map(listFiles))).flat().filter(isTemporary)
  const guards = locks.filter((file) => guardName.test(path.basename(file)))
  for (const file of [...drafts, ...guards]) {
    if ((await changedAt(file)) < now - grace) await rm(file, { force: true })
  }
  return bytes
}

// Content that no entry names: its process was killed between the two writes, or has not come to the second one yet.
async function removeOrphans(folder: Folder, named: ReadonlySet<string>, before: number): Promise<number> {
  let bytes = 0
  const contents = await readdir(folder.contents, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const content of contents.filter((content) => content.isFile())) {
    const file = path.join(content.parentPath, content.name)
    const isOurs = contentName.test(path.relative(folder.contents, file).replaceAll(path.sep, '/'))
    if (named.has(file) || !isOurs || (await changedAt(file)) > before) continue
    bytes += await sizeOf(file)
    await rm(file, { force: true })
  }
  return bytes
}

// Files that are not written or used again: their models are gone, or have not changed for so long.
async function forgetOld(dir: string, name: RegExp, before: number): Promise<void> {
  for (const file of (await listFiles(dir)).filter((file) => name.test(path.basename(file))))
    if ((await touched(file)) < before) await rm(file, { force: true })
}

// An import whose engine was collected keeps its words for a while: 'weights changed' says more than 'new'.
async function forgetImports(folder: Folder, kept: readonly StoreEntry[], maxAge: number): Promise<void> {
  const alive = new Set(kept.map(({ digest }) => digest))
  for (const { importKey, entry, at } of await listImportRecords(folder)) {
    if (!alive.has(entry.digest) && Date.now() - at >= maxAge) await removeImportRecord(folder, importKey)
  }
}

// What has another name was not made by the cache, and stays.
const tokenName = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const lockName = /^[0-9a-f]{64}\.lock$/
const guardName = /^[0-9a-f]{64}\.lock\.[0-9a-f-]{36}/
const startName = /^[0-9a-f]{32}\.json/
const stubName = /^(?:\d+-)?[0-9a-f]{32}\.cjs$/
const contentName = /^sha256\/[0-9a-f]{2}\/[0-9a-f]{2}\/[0-9a-f]{60}$/

/** When a file was written or moved, by the file system's clock; Infinity when it is gone. */
async function changedAt(file: string): Promise<number> {
  return (await lstat(file).catch(() => ({ ctimeMs: Infinity }))).ctimeMs
}

/** Bytes in a file or a folder; 0 when it is gone. Links count for themselves. */
async function sizeOf(target: string): Promise<number> {
  const found = await lstat(target).catch(() => undefined)
  if (!found?.isDirectory()) return found?.size ?? 0
  const sizes = await Promise.all((await listFiles(target)).map(sizeOf))
  return sizes.reduce((sum, size) => sum + size, 0)
}
