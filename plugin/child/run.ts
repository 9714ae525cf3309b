import { type ChildProcess, fork } from 'node:child_process'
import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { OnnxEngineError, reviveError } from '../../runtime/errors.ts'
import { printable } from '../../runtime/printable.ts'
import type { ChildLog, ChildJob, ChildReply, ChildRequest } from './contract.ts'
import { watchMemory } from './memory.ts'
import { enterSlot, estimateBytes } from './slots.ts'

export interface ChildOptions {
  readonly signal?: AbortSignal | undefined
  readonly log?: ChildLog | undefined
  /** Called when the process starts, which may be after others have ended. */
  readonly onStart?: (() => void) | undefined
  /** Bytes of the model, external data included. The memory that the process needs is estimated from it. */
  readonly modelBytes?: number | undefined
  /** Name of the process in messages. Default: 'compiler'. */
  readonly what?: string
}

/**
 * Runs the task of a worker module in a child process, as soon as cores and memory allow one more. An abort kills the
 * child; a native crash becomes an error with the last lines it printed, never the end of this process. Resolves or
 * rejects only when the child is gone, so that the caller can remove its files.
 *
 * @throws OnnxEngineError COMPILE_FAILED, COMPILE_ABORTED, or what the task threw.
 */
export async function runChild(
  worker: URL,
  job: ChildJob,
  { onStart, modelBytes = 0, ...options }: ChildOptions = {},
): Promise<void> {
  const { signal } = options
  const estimate = estimateBytes(modelBytes)
  const leave = await enterSlot(estimate, signal)
  try {
    if (leave) onStart?.()
    if (signal?.aborted) throw aborted(job, signal)
    await supervise(worker, job, { ...options, mostBytes: excess * estimate })
  } finally {
    leave?.()
  }
}

/** Times its estimate that a process may take before it is killed: no model that was measured takes twice as much. */
const excess = 4

interface Supervision extends Pick<ChildOptions, 'signal' | 'log' | 'what'> {
  /** Bytes of memory above which the process is killed. */
  readonly mostBytes: number
}

const children = new Map<ChildProcess, ChildJob>()

// A child ends itself when this process is gone, unless a library blocks it. No process and no file may be left behind.
process.on('exit', () => {
  for (const [child, { output }] of children) {
    child.kill('SIGKILL')
    try {
      rmSync(dirname(output), { recursive: true, force: true })
    } catch {
      // Windows keeps files that are open until the child is gone; the cache removes the folder the next time.
    }
  }
})

function supervise(
  worker: URL,
  job: ChildJob,
  { signal, log, mostBytes, what = 'compiler' }: Supervision,
): Promise<void> {
  const main = fileURLToPath(new URL('./main.js', import.meta.url))
  const child = fork(main, [], { serialization: 'advanced', stdio: ['ignore', 'pipe', 'pipe', 'ipc'], execArgv: [] })
  children.set(child, job)
  const kill = () => child.kill('SIGKILL')
  signal?.addEventListener('abort', kill, { once: true })
  const memory = watchMemory(child, mostBytes)
  const tail = keepTail(child)
  let reply: ChildReply | undefined
  child.on('message', (message: ChildReply) => {
    if (message.type === 'log') log?.(message.severity, printable(message.text))
    else reply = message
  })
  return new Promise<void>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new OnnxEngineError('COMPILE_FAILED', `${job.name}: the ${what} process could not be started`, { cause })),
    )
    child.once('close', (code, killedBy) => {
      children.delete(child)
      memory.stop()
      signal?.removeEventListener('abort', kill)
      if (reply?.type === 'done') resolve()
      else if (signal?.aborted) reject(aborted(job, signal))
      else if (reply?.type === 'failed') reject(reviveError(reply.error))
      else if (memory.exceeded()) reject(tooMuchMemory(`${job.name}: the ${what} process`, mostBytes))
      else reject(crashed(`${job.name}: the ${what} process`, { code, killedBy, output: tail() }))
    })
    const request: ChildRequest = { worker: worker.href, job }
    // A child that died before it read its job reports through 'close'.
    child.send(request, () => {})
  })
}

const tailLimit = 4000

/** The last characters that the child printed: native libraries print the reason of a crash to stderr only. */
function keepTail(child: ChildProcess): () => string {
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-tailLimit)
    })
  }
  return () => text.trim()
}

function aborted(job: ChildJob, signal: AbortSignal): OnnxEngineError {
  return new OnnxEngineError('COMPILE_ABORTED', `${job.name}: the compilation was cancelled`, { cause: signal.reason })
}

function tooMuchMemory(subject: string, mostBytes: number): OnnxEngineError {
  return new OnnxEngineError('COMPILE_FAILED', `${subject} was stopped`, {
    expected: `at most ${(mostBytes / 1e9).toFixed(1)} GB of memory, ${excess} times what a model of this size takes`,
    received: 'more',
    hint: 'Look for a node that makes a huge constant, such as an Expand or ConstantOfShape with wrong dims',
  })
}

interface Crash {
  readonly code: number | null
  readonly killedBy: NodeJS.Signals | null
  /** The last characters that it printed. */
  readonly output: string
}

function crashed(subject: string, { code, killedBy, output }: Crash): OnnxEngineError {
  const how = killedBy ? `was killed by ${killedBy}` : `exited with code ${code}`
  const printed = output && `; its last output: ${output}`
  return new OnnxEngineError('COMPILE_FAILED', `${subject} ${how} before it finished${printed}`, {
    ...(killedBy === 'SIGKILL' && {
      hint: 'The system does this when it runs out of memory. Compile fewer models at once, or free some memory',
    }),
  })
}
