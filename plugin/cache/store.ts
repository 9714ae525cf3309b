import { isUnusable } from '../files/unusable.ts'
import type { RemoteCacheOptions } from '../options/remote-types.ts'
import type { Stored } from './artifact.ts'
import type { Build, StoreRequest } from './build.ts'
import type { Collected } from './collect.ts'
import { folderAt, touch, touched, type Folder } from './folder.ts'
import { listImportRecords, readImportRecord, type ImportRecord } from './import-records.ts'
import type { Json } from './key.ts'
import { openLeases } from './leases.ts'
import type { StoreEntry } from './list.ts'
import { orCacheFailed } from './or-cache-failed.ts'
import { openProducer, type Produce } from './produce.ts'
import type { RemoteCache } from './remote/remote-cache.ts'
import { type StatIndex, openStatIndex } from './stat-index.ts'
import { checkFolder } from './trust.ts'
import { aborted, untilAborted } from './until-aborted.ts'
import type { Verified } from './verify.ts'

export type { Build, StoreRequest } from './build.ts'

export type { Stored } from './artifact.ts'

// The cache keeps engines on disk, by the digest of all that decides their bytes (key.ts). store.ts is what builds use;
// produce.ts finds or builds one engine, stored-json.ts keeps results besides engines, entries.ts and folder.ts are the
// format on disk, source.ts and stat-index.ts save hashing, explain.ts puts a changed key into words, and collect.ts
// keeps the folder within its limits.

export interface StoreOptions {
  /** The cache folder; it is made when something is stored. */
  readonly dir: string
  /** Bytes that `collect` leaves at most. */
  readonly maxSize: number
  /** Milliseconds after its last use that `collect` keeps an engine. */
  readonly maxAge: number
  /** A store that a team shares: asked before an engine is built. */
  readonly remote?: RemoteCacheOptions | undefined
  /** Whether to throw NOT_CACHED instead of building an engine. */
  readonly frozen?: boolean | undefined
  /** Called once for each way in which the folder cannot be used. */
  readonly warn: (message: string) => void
}

/**
 * The engine cache of an app. All throw CACHE_FAILED for a folder that somebody else can fill (see trust.ts);
 * `imports`, `list`, `verify` and `clear` also for one that they cannot use.
 */
export interface Store {
  /** Digests of source files that need no hashing again. */
  readonly statIndex: StatIndex
  /**
   * The engine of a key: from the cache, or built once, however many callers and processes ask. Rejects with what the
   * build rejects with, and with COMPILE_ABORTED; either leaves the cache as it was. A folder that cannot be written
   * costs a warning, and the engine stays in a temporary folder until the process exits.
   */
  getOrBuild(request: StoreRequest, build: Build): Promise<Stored>
  /** How long the last build of an import took, in seconds. */
  lastSeconds(importKey: string): Promise<number | undefined>
  /** Why an import has the engine it has; undefined when it never had one. */
  why(importKey: string): Promise<ImportRecord | undefined>
  /** Every import that the cache has seen, sorted by name. */
  imports(): Promise<readonly ImportRecord[]>
  /** Every engine, the most recently used first. */
  list(): Promise<readonly StoreEntry[]>
  /**
   * Keeps what a tool measured of an engine, by the digest of its key, until it measures again or the engine goes.
   * Throws RangeError for more than 64,000 characters of JSON.
   */
  keepMeasurement(digest: string, value: Json): Promise<void>
  /** What was measured of an engine last. */
  measurement(digest: string): Promise<Json | undefined>
  /** Hashes every engine, and removes the damaged ones. */
  verify(): Promise<Verified>
  /**
   * Removes what the limits do not allow, and what killed processes left: after a build, and else once a day, so that a
   * run of hits costs nothing. A folder that cannot be written costs a warning.
   */
  collect(): Promise<Collected>
  /** Removes everything except what running processes build or were given. */
  clear(): Promise<Collected>
}

/**
 * Opens the engine cache in a folder. Nothing is read or written before the first call. Modules that a hit does not
 * need are loaded by what needs them: in a warm build, loading modules takes most of the time.
 */
export function openStore({ dir, maxSize, maxAge, warn, remote, frozen = false }: StoreOptions): Store {
  const folder = folderAt(dir)
  const onTrouble = warnOnce(folder, warn)
  let checking: Promise<void> | undefined
  const checked = (): Promise<void> => (checking ??= checkFolder(folder))
  const statIndex = checkedIndex(openStatIndex(folder.statIndex), checked)
  let grown = false
  const onGrown = () => {
    grown = true
  }
  let remoteCache: Promise<RemoteCache> | undefined
  const openRemote = async () => {
    if (!remote) return undefined
    remoteCache ??= import('./remote/remote-cache.ts').then((module) => module.openRemoteCache(folder, remote, warn))
    return remoteCache
  }
  const produce = shareFlights(
    openProducer({ folder, statIndex, lease: openLeases(folder), onTrouble, onGrown, openRemote, frozen }),
  )
  const listStore = async () => (await import('./list.ts')).listStore(folder)
  // A person asked for it: no warning can replace it.
  const onRequest = <T>(action: () => Promise<T>): Promise<T> =>
    orCacheFailed(folder.root, async () => {
      await checked()
      return await action()
    })

  return {
    statIndex,
    async getOrBuild(request, build) {
      await checked()
      return await produce(request, build)
    },
    async lastSeconds(importKey) {
      await checked()
      return (await readImportRecord(folder, importKey))?.entry.seconds
    },
    async why(importKey) {
      await checked()
      return await readImportRecord(folder, importKey)
    },
    imports: () => onRequest(() => listImportRecords(folder)),
    list: () => onRequest(listStore),
    ...measurementsOf(folder, onRequest),
    verify: () => onRequest(async () => (await import('./verify.ts')).verifyStore(folder)),
    clear: () => onRequest(async () => (await loadCollector()).collectGarbage(folder, await listStore(), 'everything')),
    async collect() {
      await (await remoteCache)?.settled()
      await checked()
      // By our clock: it decides when to look, not what is old.
      if (!grown && Date.now() - (await touched(folder.collected)) < day) return { removed: [], bytes: 0 }
      try {
        const entries = await listStore()
        if (entries.length > 0) await touch(folder.collected)
        return await (await loadCollector()).collectGarbage(folder, entries, { maxSize, maxAge })
      } catch (error) {
        if (!isUnusable(error)) throw error
        onTrouble(error)
        return { removed: [], bytes: 0 }
      }
    },
  }
}

function measurementsOf(
  folder: Folder,
  onRequest: <T>(action: () => Promise<T>) => Promise<T>,
): Pick<Store, 'keepMeasurement' | 'measurement'> {
  return {
    keepMeasurement: (digest, value) =>
      onRequest(async () => (await loadMeasurements()).writeMeasurement(folder, digest, value)),
    measurement: (digest) => onRequest(async () => (await loadMeasurements()).readMeasurement(folder, digest)),
  }
}

function checkedIndex(index: StatIndex, check: () => Promise<void>): StatIndex {
  return {
    async remember(file, what, compute) {
      await check()
      return await index.remember(file, what, compute)
    },
  }
}

const day = 86_400_000

const loadCollector = () => import('./collect.ts')
const loadMeasurements = () => import('./measurements.ts')

interface Flight {
  readonly outcome: Promise<Stored>
  readonly signal: AbortSignal | undefined
}

/** Callers in this process that ask for one key share one build. Each may abort its own waiting. */
function shareFlights(produce: Produce): Produce {
  const flights = new Map<string, Flight>()

  function start(request: StoreRequest, build: Build): Flight {
    const { digest } = request.key
    const outcome = produce(request, build).finally(() => flights.delete(digest))
    // The caller may be gone by the time the flight fails.
    outcome.catch(() => {})
    const flight = { outcome, signal: request.signal }
    flights.set(digest, flight)
    return flight
  }

  return async (request, build) => {
    const { key, signal, label } = request
    for (;;) {
      if (signal?.aborted) throw aborted(label, signal)
      const running = flights.get(key.digest)
      const flight = running ?? start(request, build)
      try {
        const outcome = await untilAborted(flight.outcome, signal, label)
        return running ? { ...outcome, hit: true, reason: 'hit' } : outcome
      } catch (error) {
        // Another caller's abort ended the build that this one was waiting for: it starts its own.
        if (!running || signal?.aborted || !flight.signal?.aborted) throw error
      }
    }
  }
}

/** Warns once for each way in which a folder cannot be used. */
function warnOnce({ root }: Folder, warn: (message: string) => void): (error: unknown) => void {
  const warned = new Set<string>()
  return (error) => {
    const { code, message } = error as NodeJS.ErrnoException
    if (warned.has(code ?? message)) return
    warned.add(code ?? message)
    warn(
      `the cache folder ${root} cannot be used (${message}). ` +
        'Engines of this run lie in a temporary folder and are built again next time',
    )
  }
}
