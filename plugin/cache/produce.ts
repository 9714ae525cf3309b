import { lstat, rm } from 'node:fs/promises'
import path from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { makeFolder } from '../../runtime/make-folder.ts'
import { fullDisk, FullDiskError } from '../files/full-disk.ts'
import { hashFile } from '../files/hash.ts'
import { holdFile } from '../files/held-files.ts'
import { isUnusable } from '../files/unusable.ts'
import { storedOf, type Stored } from './artifact.ts'
import { buildEntry, type Build, type StoreRequest } from './build.ts'
import { findEntry, insertEntry, type Entry } from './entries.ts'
import { touch, type Folder } from './folder.ts'
import { readImportRecord, writeImportRecord, type ImportRecord } from './import-records.ts'
import type { CacheKey } from './key.ts'
import type { RemoteCache } from './remote/remote-cache.ts'
import type { Placed, Scratch } from './scratch.ts'
import type { StatIndex } from './stat-index.ts'

/** The cache folder that engines are produced in, and what the store wants to know. */
export interface Workshop {
  readonly folder: Folder
  readonly statIndex: StatIndex
  /** Called when the folder cannot be used: the engine goes to the scratch folder. */
  onTrouble(error: unknown): void
  /** Called before an engine is given to a caller: no other process may remove it. */
  lease(digest: string): Promise<void>
  /** Called when the folder has an engine more. */
  onGrown(): void
  /** The remote cache; undefined when there is none. */
  openRemote(): Promise<RemoteCache | undefined>
  /** Whether building is forbidden. */
  readonly frozen: boolean
}

/** Finds the engine of a key in the cache, or builds it. */
export type Produce = (request: StoreRequest, build: Build) => Promise<Stored>

/** Nothing is read or written before the first call. Modules that a hit does not need are loaded by a miss. */
export function openProducer(workshop: Workshop): Produce {
  const { folder, onTrouble } = workshop
  let opening: Promise<Scratch> | undefined
  const openScratch = (): Promise<Scratch> => {
    opening ??= import('./scratch.ts').then((module) => module.openScratch())
    return opening
  }

  return async (request, build) => {
    const started = performance.now()
    const spare = (await opening)?.find(request.key.digest)
    if (spare) return storedOf(spare, 'hit', started)
    let building = false
    const observed: Build = async (output) => {
      if (workshop.frozen) throw notCached(request)
      building = true
      const metadata = await build(output)
      building = false
      return metadata
    }
    try {
      const { placed, reason } = await findOrBuild(workshop, openScratch, request, observed)
      // Outside the lock: other processes use the engine meanwhile.
      if (!reason.startsWith('hit')) (await workshop.openRemote())?.upload(placed.entry, placed.file)
      return storedOf(placed, reason, started)
    } catch (error) {
      // What a compiler cannot read or write says nothing about the cache.
      const unusable = building ? error instanceof FullDiskError : isUnusable(error)
      if (!unusable || request.signal?.aborted) throw error
      onTrouble(error)
    }
    const placed = await buildElsewhere(await openScratch(), folder, request, observed)
    return storedOf(placed, 'miss: the cache folder cannot be used', started)
  }
}

async function buildElsewhere(scratch: Scratch, folder: Folder, request: StoreRequest, build: Build): Promise<Placed> {
  try {
    return await scratch.build(request, build)
  } catch (error) {
    if (!(error instanceof FullDiskError)) throw error
    throw new OnnxEngineError('CACHE_FAILED', request.label, {
      expected: `space for the engine in ${folder.root} or in the folder for temporary files`,
      received: error.message,
      hint: 'Free some space, or choose another folder with cache.dir or the environment variable TMPDIR',
      cause: error,
    })
  }
}

interface Outcome {
  readonly placed: Placed
  readonly reason: string
}

async function findOrBuild(
  workshop: Workshop,
  openScratch: () => Promise<Scratch>,
  request: StoreRequest,
  build: Build,
): Promise<Outcome> {
  const { folder } = workshop
  const { digest } = request.key
  const before = await readImportRecord(folder, request.importKey)
  const found = await lookUp(workshop, digest, before)
  if (found.placed) return hit(workshop, request, before, found.placed)
  const reason = `miss: ${found.trouble ?? (await describeChange(before, request.key))}`
  const { acquireLock } = await import('../files/lock.ts')
  await makeFolder(folder.locks)
  const lock = await acquireLock(folder.lock(digest), request.signal)
  try {
    const built = lock.waited ? await lookUp(workshop, digest, undefined) : {}
    if (built.placed) return await hit(workshop, request, before, built.placed)
    const temporary = folder.temporary(lock.token)
    const output = path.join(temporary, 'engine')
    try {
      await makeFolder(temporary)
      const fetched = await (await workshop.openRemote())?.fetch(request, output)
      const entry = fetched ?? (await buildInFolder(folder.root, request, build, output))
      const outcome = fetched ? 'hit: remote' : reason
      return { placed: await keep(workshop, openScratch, request, { entry, output, reason: outcome }), reason: outcome }
    } finally {
      await rm(temporary, { recursive: true, force: true }).catch(() => {})
    }
  } finally {
    await lock.release()
  }
}

/** Builds in a folder of its own, and once more when somebody removed the folder meanwhile. */
async function buildInFolder(root: string, request: StoreRequest, build: Build, output: string): Promise<Entry> {
  const folder = path.dirname(output)
  for (let attempt = 1; ; attempt++) {
    await makeFolder(folder)
    try {
      return await buildEntry(request, build, output)
    } catch (error) {
      const isGone = (await lstat(folder).catch(() => undefined)) === undefined
      if (isGone && attempt === 1 && !request.signal?.aborted) continue
      throw (await fullDisk(error, root)) ?? error
    }
  }
}

interface LookUpResult {
  readonly placed?: Placed
  /** Why an entry that exists cannot be used. */
  readonly trouble?: string
}

/** A hit verifies the bytes: they are hashed again, unless their stat is what it was when they were hashed last. */
async function lookUp(
  { folder, statIndex }: Workshop,
  digest: string,
  record: ImportRecord | undefined,
): Promise<LookUpResult> {
  const entry = record?.entry.digest === digest ? record.entry : await findEntry(folder, digest)
  if (!entry) return {}
  const file = folder.content(entry.sha256)
  try {
    const found = await lstat(file)
    if (!found.isFile() || found.size !== entry.size) return { trouble: corrupted }
    const { sha256 } = await statIndex.remember(file, 'content', async () => ({ sha256: await hashFile(file) }))
    return sha256 === entry.sha256 ? { placed: { entry, file } } : { trouble: corrupted }
  } catch (error) {
    return { trouble: (error as NodeJS.ErrnoException).code === 'ENOENT' ? removed : corrupted }
  }
}

async function hit(
  { folder, lease }: Workshop,
  request: StoreRequest,
  before: ImportRecord | undefined,
  placed: Placed,
): Promise<Outcome> {
  const { entry } = placed
  await lease(entry.digest)
  holdFile(placed.file)
  await touch(folder.used(entry.digest))
  if (before?.entry.digest !== entry.digest) {
    await recordReason(folder, request, entry, `hit: ${await describeChange(before, request.key)}`)
  }
  return { placed, reason: 'hit' }
}

interface BuiltEntry {
  readonly entry: Entry
  readonly output: string
  readonly reason: string
}

/** Moves a finished engine into the cache, or into the scratch folder when the cache cannot take it. */
async function keep(
  { folder, lease, onTrouble, onGrown }: Workshop,
  openScratch: () => Promise<Scratch>,
  request: StoreRequest,
  { entry, output, reason }: BuiltEntry,
): Promise<Placed> {
  try {
    await lease(entry.digest)
    const file = await insertEntry(folder, output, entry)
    holdFile(file)
    await touch(folder.used(entry.digest))
    onGrown()
    await recordReason(folder, request, entry, reason)
    return { entry, file }
  } catch (error) {
    if (!isUnusable(error)) throw error
    onTrouble(error)
    const moved = await lstat(output).then(
      () => false,
      () => true,
    )
    const scratch = await openScratch()
    return scratch.adopt({ entry, file: moved ? folder.content(entry.sha256) : output })
  }
}

// A reason that cannot be written costs the words of the next miss, not the engine.
async function recordReason(folder: Folder, request: StoreRequest, entry: Entry, reason: string): Promise<void> {
  const { importKey } = request
  await writeImportRecord(folder, { importKey, entry, reason, at: Date.now() }).catch(() => {})
}

const corrupted = 'the cached engine was corrupted'

const removed = 'the cached engine was removed'

async function describeChange(before: ImportRecord | undefined, key: CacheKey): Promise<string> {
  if (!before) return 'new'
  if (before.entry.digest === key.digest) return removed
  return (await import('./explain.ts')).explain(before.entry.facts, key.facts)
}

function notCached({ label, key }: StoreRequest): OnnxEngineError {
  return new OnnxEngineError('NOT_CACHED', label, {
    expected: 'an engine in the cache, because the option frozen forbids to compile',
    received: `none for the key ${key.digest.slice(0, 12)}`,
    hint: 'Run the build without `frozen` on a machine that writes to the remote cache.',
  })
}
