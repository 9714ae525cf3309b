import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** A process that owns a lock or a folder. */
export interface Owner {
  readonly pid: number
  /** `thisHost` of the process. */
  readonly host: string
  /** When it started, in ticks of the kernel's clock; '' where the system does not say. */
  readonly started: string
}

/** Names the machine, or on Linux the container, whose process ids mean the same processes as here. */
export const thisHost: string = `${hostname()}${processNamespace()}`

/** Eight hexadecimal digits for `thisHost`, for names of files. */
export const hostTag: string = createHash('sha256').update(thisHost).digest('hex').slice(0, 8)

/** This process as an owner. */
export function thisProcess(): Owner {
  return { pid: process.pid, host: thisHost, started: startOf(process.pid) ?? '' }
}

/**
 * Whether an owner of this host lives. One that stands still, suspended or on a closed laptop, lives. A process id that
 * the system gave to another process since is recognised by its start, where the system says it.
 */
export function isRunning({ pid, started }: Pick<Owner, 'pid'> & Partial<Owner>): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0 || !exists(pid)) return false
  const actual = started ? startOf(pid) : undefined
  return actual === undefined || actual === started
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

// Field 22 of proc(5) `stat`; the name of the program, field 2, may hold spaces and parentheses.
function startOf(pid: number): string | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

// Containers may share a host name and a folder, and number their processes for themselves.
function processNamespace(): string {
  try {
    return process.platform === 'linux' ? ` ${readlinkSync('/proc/self/ns/pid')}` : ''
  } catch {
    return ''
  }
}
