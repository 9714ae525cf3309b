import { randomUUID } from 'node:crypto'
import { link, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'

/** A lock that this process holds. */
export interface Lock {
  /** Names this holding; no other one ever has it. */
  readonly token: string
  /** Whether somebody else held it before, so that what is guarded should be looked at again. */
  readonly waited: boolean
  release(): Promise<void>
}

/**
 * Takes the lock `file`, waiting for whoever holds it; rejects with the signal's reason. A holder that was killed is
 * noticed at once when it ran on this host, and after 30 seconds without a heartbeat elsewhere. The lock saves work, it
 * does not guard data: in the worst case (a suspended machine, a network folder with wrong clocks) two processes build
 * the same bytes.
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

/** Takes the lock when nobody alive holds it, else undefined. */
export async function tryLock(file: string): Promise<Lock | undefined> {
  const seen = await look(file)
  if (seen?.alive) return undefined
  if (seen) await remove(file, seen.token)
  const token = randomUUID()
  return (await create(file, token)) ? hold(file, token) : undefined
}

/** The token of whoever holds the lock and is alive. */
export async function lockHolder(file: string): Promise<string | undefined> {
  const seen = await look(file)
  return seen?.alive ? seen.token : undefined
}

const heartbeat = 5_000
const silence = 30_000
const writing = 2_000

const recordSchema = v.object({ token: v.pipe(v.string(), v.uuid()), pid: v.number(), host: v.string() })

// The file appears with its record inside: a lock without one would have to be respected for a while, in case its owner
// still lives.
async function create(file: string, token: string): Promise<boolean> {
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

/** What file systems without hard links say. */
const noLinks: ReadonlySet<string> = new Set(['EPERM', 'EACCES', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'EISDIR'])

async function createUnlinked(file: string, record: string): Promise<boolean> {
  try {
    await writeFile(file, record, { flag: 'wx' })
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    // Windows: a file that is being removed refuses everything for a moment.
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
      // A lock that cannot be removed any more goes silent, and is stale soon.
      const seen = await look(file).catch(() => undefined)
      if (seen?.token === token) await rm(file, { force: true }).catch(() => {})
    },
  }
}

// undefined: nobody holds it. A record that cannot be read is one that is being written, or was when its writer was
// killed.
async function look(file: string): Promise<{ readonly token: string; readonly alive: boolean } | undefined> {
  try {
    const { mtimeMs } = await stat(file)
    const age = Date.now() - mtimeMs
    const record = v.safeParse(recordSchema, parse(await readFile(file, 'utf8')))
    if (!record.success) return { token: 'unreadable', alive: age < writing }
    const { token, pid, host } = record.output
    return { token, alive: age < silence && (host !== hostname() || isRunning(pid)) }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function parse(text: string): unknown {
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

// Many waiters see the same dead holder at once. Only the one who creates the guard for exactly that holding may remove
// it, and looks again after it did: a slower waiter would otherwise remove the lock of the next, living holder. A guard
// whose owner was killed is removed, and the next try goes on.
async function remove(file: string, token: string): Promise<void> {
  const guard = `${file}.${token}.broken`
  if (!(await create(guard, randomUUID()))) {
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
