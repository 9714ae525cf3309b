import { createHash } from 'node:crypto'
import { fsync } from 'node:fs'
import { lstat, open, readdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import * as v from 'valibot'
import { makeFolder } from '../../runtime/make-folder.ts'
import { hashFile } from '../files/hash.ts'
import type { Folder } from './folder.ts'
import type { Facts, Json } from './key.ts'

/** What is known of one engine in the cache. */
export interface Entry {
  readonly digest: string
  readonly facts: Facts
  readonly sha256: string
  /** Size in bytes. */
  readonly size: number
  /** Milliseconds since the epoch. */
  readonly created: number
  /** How long the build took. */
  readonly seconds: number
  /** What the build returned. */
  readonly metadata: Json
}

/** The entry of a key, from cacache's index; undefined when there is none or it is damaged. */
export async function findEntry(folder: Folder, digest: string): Promise<Entry | undefined> {
  await clearBucket(folder, digest)
  const cacache = await loadCacache()
  return toEntry((await cacache.get.info(folder.root, digest, { memoize: false }))?.metadata)
}

/** All entries of the cache. */
export async function listEntries(folder: Folder): Promise<readonly Entry[]> {
  await clearIndex(folder)
  const cacache = await loadCacache()
  return Object.values(await cacache.ls(folder.root)).flatMap(({ metadata }) => toEntry(metadata) ?? [])
}

/**
 * Moves a finished file into the content store, then names it in the index: killed in between, it leaves an orphan for
 * the collector.
 */
export async function insertEntry(folder: Folder, file: string, entry: Entry): Promise<string> {
  const cacache = await loadCacache()
  const content = folder.content(entry.sha256)
  await flush(file)
  await makeContentFolder(content)
  await rename(file, content).catch(async () => {
    // Windows refuses to replace a file that somebody reads: when it holds the same bytes, all is well. Anything else
    // is in the way.
    if ((await hashFile(content).catch(() => undefined)) === entry.sha256) return
    await rm(content, { recursive: true, force: true })
    await rename(file, content)
  })
  await clearBucket(folder, entry.digest)
  const { path: named } = await cacache.index.insert(folder.root, entry.digest, integrity(entry.sha256), {
    metadata: entry,
    size: entry.size,
  })
  if (path.resolve(named) !== content) throw new Error(`cacache keeps its content at ${named}, not at ${content}`)
  return content
}

/** Takes an entry out of the index; its bytes go as well, unless another entry of `others` has the same. */
export async function removeEntry(folder: Folder, entry: Entry, others: readonly Entry[]): Promise<void> {
  const cacache = await loadCacache()
  // The types of cacache lack the third parameter: without it, the index keeps a tombstone for every key that ever was.
  const removeKey: (root: string, key: string, options: { removeFully: boolean }) => Promise<unknown> = cacache.rm.entry
  await clearBucket(folder, entry.digest)
  await removeKey(folder.root, entry.digest, { removeFully: true })
  await rm(folder.used(entry.digest), { force: true })
  const shared = others.some((other) => other.digest !== entry.digest && other.sha256 === entry.sha256)
  if (!shared) await rm(folder.content(entry.sha256), { force: true })
}

// The two folders around an engine may be links to somewhere else.
async function makeContentFolder(content: string): Promise<void> {
  const inner = path.dirname(content)
  for (const folder of [path.dirname(inner), inner]) {
    const found = await lstat(folder).catch(() => undefined)
    if (found && !found.isDirectory()) await rm(folder, { force: true })
  }
  await makeFolder(inner)
}

// cacache opens whatever has the name of an index file: it would wait for the writer of a FIFO for ever, or follow a
// link to an endless device.
async function clearBucket(folder: Folder, digest: string): Promise<void> {
  const hash = createHash('sha256').update(digest).digest('hex')
  const bucket = path.join(folder.index, hash.slice(0, 2), hash.slice(2, 4), hash.slice(4))
  const found = await lstat(bucket).catch(() => undefined)
  if (found && !found.isFile()) await rm(bucket, { recursive: true, force: true })
}

async function clearIndex(folder: Folder): Promise<void> {
  const found = await readdir(folder.index, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const item of found) {
    const place = path.join(item.parentPath, item.name)
    const isBucket = path.relative(folder.index, place).split(path.sep).length === 3
    const isRight = isBucket ? item.isFile() : item.isDirectory()
    if (!isRight) await rm(place, { recursive: true, force: true })
  }
}

const factsSchema = v.record(
  v.string(),
  v.union([v.string(), v.number(), v.boolean(), v.array(v.string()), v.array(v.number())]),
)
const digestSchema = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))

/** An entry as it was read from disk: anything may be there. */
export const entrySchema: v.GenericSchema<unknown, Entry> = v.object({
  digest: digestSchema,
  facts: factsSchema,
  sha256: digestSchema,
  size: v.number(),
  created: v.number(),
  seconds: v.number(),
  metadata: v.custom<Json>(() => true),
})

// Loading cacache takes as long as a small build (40 ms), and a build whose engines are all hits does not need it.
async function loadCacache(): Promise<typeof import('cacache')> {
  return (await import('cacache')).default
}

function toEntry(metadata: unknown): Entry | undefined {
  const parsed = v.safeParse(entrySchema, metadata)
  return parsed.success ? parsed.output : undefined
}

function integrity(sha256: string): string {
  return `sha256-${Buffer.from(sha256, 'hex').toString('base64')}`
}

async function flush(file: string): Promise<void> {
  const handle = await open(file, 'r+')
  try {
    // Not its own method: the file system that Yarn's Plug'n'Play puts before Node's has none.
    await promisify(fsync)(handle.fd)
  } finally {
    await handle.close()
  }
}
