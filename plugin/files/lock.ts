import { randomUUID } from 'node:crypto'
import { link, lstat, open, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { fileTime } from './file-clock.ts'
import { isRunning, thisHost, thisProcess } from './owner.ts'
import { readRegular } from './regular-file.ts'

/** A lock that this process holds. */
export interface Lock {
  /** Identifies this acquisition; no other one ever has it. */
  readonly token: string
  /** Whether another process held it before, so that the guarded data should be read again. */
  readonly waited: boolean
  release(): Promise<void>
}

/**
 * Takes the lock `file`, waiting for its holder; rejects with the signal's reason. A holder on this host has the lock
 * for as long as its process lives, suspended or not. One on another host loses it after 30 seconds without a
 * heartbeat, by the clock of the file system. The lock saves work, it does not guard data: in the worst case (another
 * host that was suspended) two processes build the same bytes.
 */
export async function acquireLock(file: string, signal?: AbortSignal): Promise<Lock> {
  let waited = false
  for (let pause = 10; ; pause = Math.min(2 * pause, 250)) {
    signal?.throwIfAborted()
    const lock = await tryLock(file)
    if (lock) return { ...lock, waited }
    waited = true
    await delay(pause, undefined, { signal }).catch(() => {})
  }
}

/** Takes the lock; undefined when a process that is alive holds it. */
export async function tryLock(file: string): Promise<Lock | undefined> {
  const seen = await look(file)
  if (seen?.alive) return undefined
  if (seen) await removeStale(file, seen.token)
  const token = randomUUID()
  return (await createLock(file, token)) ? hold(file, token) : undefined
}

/** The token of the holder of a lock, if that is alive. */
export async function lockHolder(file: string): Promise<string | undefined> {
  const seen = await look(file)
  return seen?.alive ? seen.token : undefined
}

const heartbeat = 5_000
const silence = 30_000
const writing = 2_000

/** Bytes of the largest record. */
const recordLimit = 4096

const recordSchema = v.object({
  token: v.pipe(v.string(), v.uuid()),
  pid: v.number(),
  host: v.string(),
  started: v.string(),
})

// The file appears with its record inside: a lock without one would have to be respected for a while, in case its owner
// still lives.
async function createLock(file: string, token: string): Promise<boolean> {
  const record = JSON.stringify({ token, ...thisProcess() })
  const draft = `${file}.${token}`
  try {
    await writeFile(draft, record, { flag: 'wx' })
    await link(draft, file)
    return true
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    if (noLinks.has(code)) return await createUnlinked(file, record)
    throw error
  } finally {
    await rm(draft, { force: true }).catch(() => {})
  }
}

/** Error codes of file systems without hard links. */
const noLinks: ReadonlySet<string> = new Set(['EPERM', 'EACCES', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'EISDIR'])

async function createUnlinked(file: string, record: string): Promise<boolean> {
  try {
    await writeFile(file, record, { flag: 'wx' })
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    // Windows: every access to a file that is being removed fails for a moment.
    if (process.platform === 'win32' && (code === 'EPERM' || code === 'EBUSY') && (await look(file))) return false
    throw error
  }
}

function hold(file: string, token: string): Lock {
  const timer = setInterval(() => void beat(file, token).catch(() => {}), heartbeat)
  timer.unref()
  return {
    token,
    waited: false,
    async release() {
      clearInterval(timer)
      // A lock that cannot be removed any more has no heartbeat, and is soon stale.
      const seen = await look(file).catch(() => undefined)
      if (seen?.token === token) await rm(file, { force: true }).catch(() => {})
    },
  }
}

// A write, because it sets the time by the clock of the file system; utimes() would set ours.
async function beat(file: string, token: string): Promise<void> {
  if ((await look(file))?.token !== token) return
  const handle = await open(file, 'r+')
  try {
    await handle.write('{', 0)
  } finally {
    await handle.close()
  }
}

// undefined: nobody holds it. A record that cannot be read is one that is being written, or was when its writer was
// killed.
async function look(file: string): Promise<{ readonly token: string; readonly alive: boolean } | undefined> {
  const found = await lstat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (!found) return undefined
  const text = await readRegular(file, recordLimit).catch(() => '')
  const record = v.safeParse(recordSchema, parseJson(text))
  if (record.success && record.output.host === thisHost) {
    return { token: record.output.token, alive: isRunning(record.output) }
  }
  const age = (await fileTime(dirname(file))) - found.mtimeMs
  if (!record.success) return { token: 'unreadable', alive: age < writing }
  return { token: record.output.token, alive: age < silence }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

// Many waiters see the same dead holder at once. Only the one who creates the guard for exactly that holding may remove
// it, and looks again after it did: a slower waiter would otherwise remove the lock of the next, living holder. A guard
// whose owner was killed is removed, and the next try goes on.
async function removeStale(file: string, token: string): Promise<void> {
  const guard = `${file}.${token}.broken`
  if (!(await createLock(guard, randomUUID()))) {
    if ((await look(guard))?.alive === false) await rm(guard, { force: true })
    return
  }
  try {
    const seen = await look(file)
    if (seen?.token === token && !seen.alive) await rm(file, { force: true })
  } finally {
    await rm(guard, { force: true })
  }
}
