import { stat, rm } from 'node:fs/promises'
import path from 'node:path'
import { makeFolder } from '../../runtime/make-folder.ts'
import { hashFile } from '../files/hash.ts'
import { isFull, isUnusable } from '../files/unusable.ts'
import { type Stored, describe } from './artifact.ts'
import { type Build, type StoreRequest, buildEntry } from './build.ts'
import { named } from './cache-failed.ts'
import type { Collected } from './collect.ts'
import { findEntry, insertEntry, type Entry } from './entries.ts'
import { type FamilyRecord, readFamily, writeFamily, listFamilies } from './families.ts'
import { folderAt, touch, touched } from './folder.ts'
import type { CacheKey } from './key.ts'
import type { StoreEntry } from './list.ts'
import type { Scratch, Placed } from './scratch.ts'
import { type StatIndex, openStatIndex } from './stat-index.ts'
import { aborted, untilAborted } from './until-aborted.ts'
import type { Verified } from './verify.ts'

export type { Build, StoreRequest } from './build.ts'

export type { Stored } from './artifact.ts'

export interface StoreOptions {
  /** The cache folder; it is made when something is stored. */
  readonly dir: string
  /** Bytes that `collect` leaves at most. */
  readonly maxSize: number
  /** Milliseconds after its last use that `collect` keeps an engine. */
  readonly maxAge: number
  /** Told once for each way in which the folder cannot be used. */
  readonly warn: (message: string) => void
}

/**
 * The engine cache of an app. `families`, `list`, `verify` and `clear` throw CACHE_FAILED for a folder that they cannot
 * use.
 */
export interface Store {
  /** Digests of source files that need no hashing again. */
  readonly statIndex: StatIndex
  /**
   * The engine of a key: from the cache, or built once, however many callers and processes ask. Rejects with what the
   * build rejects with, and with COMPILE_ABORTED; either leaves the cache as it was. A folder that cannot be written
   * costs a warning, and the engine lies in a temporary folder until the process exits.
   */
  getOrBuild(request: StoreRequest, build: Build): Promise<Stored>
  /** How long the last build of an import took, in seconds. */
  lastSeconds(family: string): Promise<number | undefined>
  /** Why an import has the engine it has; undefined when it never had one. */
  why(family: string): Promise<FamilyRecord | undefined>
  /** Every import that the cache has seen, sorted by name. */
  families(): Promise<readonly FamilyRecord[]>
  /** Every engine, the most recently used first. */
  list(): Promise<readonly StoreEntry[]>
  /** Hashes every engine, and removes the damaged ones. */
  verify(): Promise<Verified>
  /**
   * Removes what the limits do not allow, and what killed processes left: after a build, and else once a day, so that a
   * run of hits costs nothing. A folder that cannot be written costs a warning.
   */
  collect(): Promise<Collected>
  /** Removes everything except what is being built right now. */
  clear(): Promise<Collected>
}

/**
 * Opens the engine cache in a folder. Nothing is read or written before the first call. What a hit does not need is
 * loaded when something does: in a warm build, loading modules is most of the time.
 */
export function openStore({ dir, maxSize, maxAge, warn }: StoreOptions): Store {
  const folder = folderAt(dir)
  const statIndex = openStatIndex(folder.statIndex)
  let scratch: Promise<Scratch> | undefined
  const flights = new Map<string, Flight>()
  const inUse = new Set<string>()
  const warned = new Set<string>()
  let grown = false

  async function getOrBuild(request: StoreRequest, build: Build): Promise<Stored> {
    const { key, signal, label } = request
    for (;;) {
      if (signal?.aborted) throw aborted(label, signal)
      const running = flights.get(key.digest)
      const flight = running ?? start(request, build)
      try {
        const outcome = await untilAborted(flight.outcome, signal, label)
        return running ? { ...outcome, hit: true, reason: 'hit' } : outcome
      } catch (error) {
        // Somebody else's abort ended the build that this caller was waiting for: it starts its own.
        if (!running || signal?.aborted || !flight.signal?.aborted) throw error
      }
    }
  }

  function start(request: StoreRequest, build: Build): Flight {
    const { digest } = request.key
    inUse.add(digest)
    const outcome = produce(request, build).finally(() => flights.delete(digest))
    // The caller may be gone by the time the flight fails.
    outcome.catch(() => {})
    const flight = { outcome, signal: request.signal }
    flights.set(digest, flight)
    return flight
  }

  async function produce(request: StoreRequest, build: Build): Promise<Stored> {
    const started = performance.now()
    const settle = ({ placed, reason }: Outcome) => describe(placed, reason, started)
    const spare = (await scratch)?.find(request.key.digest)
    if (spare) return settle({ placed: spare, reason: 'hit' })
    let building = false
    const watched: Build = async (output) => {
      building = true
      const metadata = await build(output)
      building = false
      return metadata
    }
    try {
      return settle(await findOrBuild(request, watched))
    } catch (error) {
      const unusable = building ? await isFull(error, folder.root) : isUnusable(error)
      if (!unusable || request.signal?.aborted) throw error
      complain(error)
    }
    return settle({
      placed: await (await theScratch()).build(request, build),
      reason: 'miss: the cache folder cannot be used',
    })
  }

  async function findOrBuild(request: StoreRequest, build: Build): Promise<Outcome> {
    const before = await readFamily(folder, request.family)
    const found = await lookUp(request.key.digest, before)
    if (found.placed) return use(request, before, found.placed)
    const reason = `miss: ${found.trouble ?? (await describeChange(before, request.key))}`
    const { acquireLock } = await import('../files/lock.ts')
    await makeFolder(folder.locks)
    const lock = await acquireLock(folder.lock(request.key.digest), request.signal)
    try {
      const built = lock.waited ? await lookUp(request.key.digest, undefined) : {}
      if (built.placed) return await use(request, before, built.placed)
      return { placed: await buildInside(request, build, folder.temporary(lock.token), reason), reason }
    } finally {
      await lock.release()
    }
  }

  /** A hit verifies the bytes: they are hashed again, unless their stat is what it was when they were hashed last. */
  async function lookUp(digest: string, family: FamilyRecord | undefined): Promise<Found> {
    const known = family?.entry.digest === digest
    const entry = known ? family.entry : await findEntry(folder, digest)
    if (!entry) return {}
    const file = folder.content(entry.sha256)
    try {
      if ((await stat(file)).size !== entry.size) return { trouble: corrupted }
      const { sha256 } = await statIndex.remember(file, 'content', async () => ({ sha256: await hashFile(file) }))
      return sha256 === entry.sha256 ? { placed: { entry, file } } : { trouble: corrupted }
    } catch (error) {
      return { trouble: (error as NodeJS.ErrnoException).code === 'ENOENT' ? removed : corrupted }
    }
  }

  async function use(request: StoreRequest, before: FamilyRecord | undefined, placed: Placed): Promise<Outcome> {
    await touch(folder.used(placed.entry.digest))
    if (before?.entry.digest !== placed.entry.digest)
      await note(request, placed.entry, `hit: ${await describeChange(before, request.key)}`)
    return { placed, reason: 'hit' }
  }

  async function buildInside(request: StoreRequest, build: Build, temporary: string, reason: string): Promise<Placed> {
    const output = path.join(temporary, 'engine')
    try {
      await makeFolder(temporary)
      const entry = await buildEntry(request, build, output)
      try {
        const file = await insertEntry(folder, output, entry)
        await touch(folder.used(entry.digest))
        grown = true
        await note(request, entry, reason)
        return { entry, file }
      } catch (error) {
        if (!isUnusable(error)) throw error
        complain(error)
        const moved = await stat(output).then(
          () => false,
          () => true,
        )
        return await (await theScratch()).adopt({ entry, file: moved ? folder.content(entry.sha256) : output })
      }
    } finally {
      await rm(temporary, { recursive: true, force: true }).catch(() => {})
    }
  }

  function theScratch(): Promise<Scratch> {
    scratch ??= import('./scratch.ts').then(({ openScratch }) => openScratch())
    return scratch
  }

  // A note that cannot be written costs the words of the next miss, not the engine.
  async function note({ family }: StoreRequest, entry: Entry, reason: string): Promise<void> {
    await writeFamily(folder, { family, entry, reason, at: Date.now() }).catch(() => {})
  }

  async function listStore(): Promise<readonly StoreEntry[]> {
    return (await import('./list.ts')).listStore(folder)
  }

  function complain(error: unknown): void {
    const { code, message } = error as NodeJS.ErrnoException
    if (warned.has(code ?? message)) return
    warned.add(code ?? message)
    warn(
      `the cache folder ${folder.root} cannot be used (${message}). Engines of this run lie in a temporary folder and are built again next time`,
    )
  }

  return {
    statIndex,
    getOrBuild,
    lastSeconds: async (family) => (await readFamily(folder, family))?.entry.seconds,
    why: (family) => readFamily(folder, family),
    families: () => named(folder.root, () => listFamilies(folder)),
    list: () => named(folder.root, listStore),
    verify: () => named(folder.root, async () => (await import('./verify.ts')).verifyStore(folder)),
    clear: () =>
      named(folder.root, async () =>
        (await import('./collect.ts')).collectGarbage(folder, await listStore(), 'everything'),
      ),
    async collect() {
      if (!grown && Date.now() - (await touched(folder.collected)) < day) return { removed: [], bytes: 0 }
      try {
        const entries = await listStore()
        if (entries.length > 0) await touch(folder.collected)
        return await (await import('./collect.ts')).collectGarbage(folder, entries, { maxSize, maxAge, inUse })
      } catch (error) {
        if (!isUnusable(error)) throw error
        complain(error)
        return { removed: [], bytes: 0 }
      }
    },
  }
}

interface Flight {
  readonly outcome: Promise<Stored>
  readonly signal: AbortSignal | undefined
}

interface Outcome {
  readonly placed: Placed
  readonly reason: string
}

interface Found {
  readonly placed?: Placed
  /** Why an entry that exists cannot be used. */
  readonly trouble?: string
}

const day = 86_400_000

const corrupted = 'the cached engine was corrupted'

const removed = 'the cached engine was removed'

async function describeChange(before: FamilyRecord | undefined, key: CacheKey): Promise<string> {
  if (!before) return 'new'
  return before.entry.digest === key.digest
    ? removed
    : (await import('./explain.ts')).explain(before.entry.facts, key.facts)
}
