import { x } from 'tinyexec'
import { textOf } from '../../runtime/errors.ts'

/** A program to run. */
export interface Program {
  readonly command: readonly string[]
  /** The folder in which it runs. */
  readonly folder: string
  /** Milliseconds. */
  readonly timeout: number
  readonly signal?: AbortSignal | undefined
}

/** How a program ended. */
export interface Ended {
  /** Why it did not succeed, in words; undefined when it did. */
  readonly failure?: string
  /** The end of what it printed to stdout and stderr. */
  readonly output: string
}

// What a person reads of a program that failed. A program may print gigabytes.
const keptOutput = 4096

/**
 * Runs a program without a shell and waits for its end. One that takes too long, or is aborted, is killed with the
 * processes that it started. Never rejects.
 */
export async function runProgram({ command, folder, timeout, signal }: Program): Promise<Ended> {
  const [program = '', ...rest] = command
  let output = ''
  let failure: string | undefined
  // On POSIX a group of its own: converters start processes, and all of them must end.
  const detached = process.platform !== 'win32'
  const { process: child } = x(program, rest, {
    nodeOptions: { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], detached },
  })
  if (child === undefined) return { failure: `'${program}' could not be started`, output }
  const end = (reason: string) => {
    failure ??= reason
    killGroup(child.pid)
  }
  const stopEnding = endWithThisProcess(() => killGroup(child.pid))
  const timer = setTimeout(() => end(`it took longer than ${timeout / 1000} s`), Math.min(timeout, 2 ** 31 - 1))
  const abort = () => end('it was cancelled')
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted) abort()
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-keptOutput)
    })
  }
  try {
    await new Promise<void>((resolve) => {
      child.once('error', (error: NodeJS.ErrnoException) => {
        failure ??= error.code === 'ENOENT' ? `there is no program '${program}'` : textOf(error)
        resolve()
      })
      child.once('close', (code, killed) => {
        if (code !== 0) failure ??= killed === null ? `it ended with code ${code}` : `it was ended by ${killed}`
        resolve()
      })
    })
  } finally {
    clearTimeout(timer)
    stopEnding()
    signal?.removeEventListener('abort', abort)
  }
  return { ...(failure !== undefined && { failure }), output: output.trim() }
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** A group of its own hears no Ctrl-C of the terminal. Returns a function that takes this back. */
function endWithThisProcess(end: () => void): () => void {
  const onSignal = (name: NodeJS.Signals) => {
    end()
    // Whoever else listens decides whether this process ends.
    if (process.listenerCount(name) === 0) process.kill(process.pid, name)
  }
  process.once('exit', end)
  for (const name of signals) process.once(name, onSignal)
  return () => {
    process.off('exit', end)
    for (const name of signals) process.off(name, onSignal)
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL')
  } catch {
    // It has ended already.
  }
}
