import { rm } from 'node:fs/promises'
import path from 'node:path'
import { textOf } from '../../../runtime/errors.ts'
import { makeFolder } from '../../../runtime/make-folder.ts'
import type { RemoteCacheOptions } from '../../options/remote-types.ts'
import type { StoreRequest } from '../build.ts'
import type { Entry } from '../entries.ts'
import type { Folder } from '../folder.ts'
import { InvalidEntry, readBody, writeBody } from './body.ts'
import { signerOf } from './sign.ts'

/** The remote half of a cache. Nothing here rejects: trouble is one warning, and the engine is built. */
export interface RemoteCache {
  /** Puts the engine of a key into `output`; undefined when the store does not have it, or not one that is valid. */
  fetch(request: StoreRequest, output: string): Promise<Entry | undefined>
  /** Begins to store an engine, if this machine may write. `file` must stay as it is until settled(). */
  upload(entry: Entry, file: string): void
  /** Waits for the uploads. */
  settled(): Promise<void>
}

// A store that is slower than this is not worth waiting for: the engine is compiled meanwhile.
const patienceMs = 30_000
const leastBytesPerMs = 256

const parallelUploads = 2

export function openRemoteCache(
  folder: Folder,
  options: RemoteCacheOptions,
  warn: (line: string) => void,
): RemoteCache {
  const { store } = options
  const signer = signerOf(options)
  const uploads = openQueue(parallelUploads)
  let usable = true
  return { fetch, upload, settled: uploads.settled }

  async function fetch({ key, signal, label }: StoreRequest, output: string): Promise<Entry | undefined> {
    if (!usable) return undefined
    const clock = startClock(signal)
    try {
      const body = await clock.orLate(store.get(key.digest, { signal: clock.signal }))
      if (!body) return undefined
      const onHead = ({ size }: Entry) => clock.extend(size / leastBytesPerMs)
      return await clock.orLate(readBody(body, { key, signer, onHead }, output))
    } catch (error) {
      if (!signal?.aborted)
        report(`${label}: the engine in the remote cache is not used, because ${textOf(error)}`, error)
      await rm(output, { force: true }).catch(() => {})
      return undefined
    } finally {
      clock.stop()
    }
  }

  function upload(entry: Entry, file: string): void {
    const { sign } = signer
    if (!store.put || !sign || !usable) return
    uploads.add(() => put(entry, file, sign))
  }

  async function put(entry: Entry, file: string, sign: (head: string) => string): Promise<void> {
    const clock = startClock(undefined)
    clock.extend(entry.size / leastBytesPerMs)
    const body = path.join(folder.temporaries, `upload-${entry.digest}-${process.pid}`)
    try {
      await makeFolder(folder.temporaries)
      await writeBody(entry, file, sign, body)
      await clock.orLate(Promise.resolve(store.put?.(entry.digest, body, { signal: clock.signal })))
    } catch (error) {
      report(`an engine could not be stored in the remote cache: ${textOf(error)}`, error)
    } finally {
      clock.stop()
      await rm(body, { force: true }).catch(() => {})
    }
  }

  // A store that is away would give a warning for each engine, and cost its time-out for each. One wrong entry says
  // nothing about the others.
  function report(line: string, error: unknown): void {
    if (usable) warn(line)
    if (!(error instanceof InvalidEntry)) usable = false
  }
}

interface Queue {
  add(job: () => Promise<void>): void
  /** Waits for all jobs, those that are added meanwhile too. */
  settled(): Promise<void>
}

/** Runs jobs that do not reject, a few at a time. */
function openQueue(parallel: number): Queue {
  const running = new Set<Promise<void>>()
  const waiting: (() => Promise<void>)[] = []
  const next = () => {
    const job = running.size < parallel ? waiting.shift() : undefined
    if (!job) return
    const run = job().finally(() => {
      running.delete(run)
      next()
    })
    running.add(run)
  }
  return {
    add(job) {
      waiting.push(job)
      next()
    },
    async settled() {
      while (running.size > 0) await Promise.all(running)
    },
  }
}

interface Clock {
  readonly signal: AbortSignal
  extend(ms: number): void
  orLate<T>(work: Promise<T>): Promise<T>
  stop(): void
}

/** Aborts after `patienceMs`, which can be extended, or with the signal of the build. */
function startClock(outer: AbortSignal | undefined): Clock {
  const controller = new AbortController()
  const abort = () => controller.abort(outer?.reason)
  outer?.addEventListener('abort', abort, { once: true })
  const late = () => controller.abort(new Error('it takes too long'))
  let timer = setTimeout(late, patienceMs)
  const { signal } = controller
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
  aborted.catch(() => {})
  return {
    signal,
    extend(ms) {
      clearTimeout(timer)
      timer = setTimeout(late, patienceMs + ms)
    },
    orLate: (work) => Promise.race([work, aborted]),
    stop() {
      clearTimeout(timer)
      outer?.removeEventListener('abort', abort)
    },
  }
}
