import { randomUUID } from 'node:crypto'
import { link, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'

/** A lock that this process holds. */
export interface Lock {
  /** Identifies this acquisition; no other one ever has it. */
  readonly token: string
  /** Whether another process held it before, so that the guarded data should be read again. */
  readonly waited: boolean
  release(): Promise<void>
}

/**
 * Takes the lock `file`, or waits until its holder releases it; rejects with the signal's reason. A holder that was
 * killed is noticed at once when it ran on this host, and after 30 seconds without a heartbeat elsewhere. The lock
 * saves work, it does not guard data: in the worst case (a suspended machine, a network folder with wrong clocks) two
 * processes build the same bytes.
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

/** The token of the process that holds the lock and is alive. */
export async function lockHolder(file: string): Promise<string | undefined> {
  const seen = await look(file)
  return seen?.alive ? seen.token : undefined
}

const heartbeat = 5_000
const silence = 30_000
const writing = 2_000

const recordSchema = v.object({ token: v.pipe(v.string(), v.uuid()), pid: v.number(), host: v.string() })

// The file appears with its record inside: an empty lock would have to be respected for a while, in case its owner is
// still alive.
async function createLock(file: string, token: string): Promise<boolean> {
  const record = JSON.stringify({ token, pid: process.pid, host: hostname() })
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
  const timer = setInterval(() => {
    const now = new Date()
    utimes(file, now, now).catch(() => {})
  }, heartbeat)
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

// undefined: nobody holds it. A record that cannot be read is being written, or was when its writer was killed.
async function look(file: string): Promise<{ readonly token: string; readonly alive: boolean } | undefined> {
  try {
    const { mtimeMs } = await stat(file)
    const age = Date.now() - mtimeMs
    const record = v.safeParse(recordSchema, parseJson(await readFile(file, 'utf8')))
    if (!record.success) return { token: 'unreadable', alive: age < writing }
    const { token, pid, host } = record.output
    return { token, alive: age < silence && (host !== hostname() || isRunning(pid)) }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Whether a process of this host is alive. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

// Many waiters see the same dead holder at once. Only the one that creates the guard for exactly this token may remove
// the lock, and it looks again before it does: otherwise a slower waiter would remove the lock of the next, living
// holder. A guard whose owner was killed is removed, and the next try goes on.
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
