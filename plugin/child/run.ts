import { type ChildProcess, fork } from 'node:child_process'
import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { OnnxEngineError, reviveError } from '../../runtime/errors.ts'
import type { ChildLog, ChildJob, ChildReply, ChildRequest } from './contract.ts'
import { enterSlot, estimateBytes } from './slots.ts'

export interface ChildOptions {
  readonly signal?: AbortSignal | undefined
  readonly log?: ChildLog | undefined
  /** Told when its turn has come. */
  readonly started?: (() => void) | undefined
  /** Bytes of the model, external data included: what the process will need of the memory is estimated from it. */
  readonly modelBytes?: number | undefined
  /** What the process is called in messages. */
  readonly what?: string
}

/**
 * Runs `compile` of a worker module in a child process of its own, when the cores and the memory allow one more. An
 * abort kills the child; a native crash is an error with the last lines it printed, never the end of this process.
 * Resolves or rejects only when the child is gone, so that the caller can remove what it left.
 *
 * @throws OnnxEngineError COMPILE_FAILED, COMPILE_ABORTED, or what the worker threw.
 */
export async function runChild(
  worker: URL,
  job: ChildJob,
  { signal, log, started, modelBytes = 0, what = 'compiler' }: ChildOptions = {},
): Promise<void> {
  const leave = await enterSlot(estimateBytes(modelBytes), signal)
  try {
    if (leave) started?.()
    if (signal?.aborted) throw aborted(job, signal)
    await supervise(worker, job, what, signal, log)
  } finally {
    leave?.()
  }
}

const children = new Map<ChildProcess, ChildJob>()

// A child ends itself when this process is gone, unless a library blocks it: nothing may go on compiling, or lie about.
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

function supervise(worker: URL, job: ChildJob, what: string, signal?: AbortSignal, log?: ChildLog): Promise<void> {
  const main = fileURLToPath(new URL('./main.js', import.meta.url))
  const child = fork(main, [], { serialization: 'advanced', stdio: ['ignore', 'pipe', 'pipe', 'ipc'], execArgv: [] })
  children.set(child, job)
  const kill = () => child.kill('SIGKILL')
  signal?.addEventListener('abort', kill, { once: true })
  const tail = keepTail(child)
  let reply: ChildReply | undefined
  child.on('message', (message: ChildReply) => {
    if (message.type === 'log') log?.(message.severity, message.text)
    else reply = message
  })
  return new Promise<void>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new OnnxEngineError('COMPILE_FAILED', `${job.name}: the ${what} process could not be started`, { cause })),
    )
    child.once('close', (code, killedBy) => {
      children.delete(child)
      signal?.removeEventListener('abort', kill)
      if (reply?.type === 'done') resolve()
      else if (signal?.aborted) reject(aborted(job, signal))
      else if (reply?.type === 'failed') reject(reviveError(reply.error))
      else reject(crashed(job, what, code, killedBy, tail()))
    })
    const request: ChildRequest = { worker: worker.href, job }
    // A child that died before it read its job reports through 'close'.
    child.send(request, () => {})
  })
}

const tailLimit = 4000

/** The last characters that the child printed; native libraries say why they die on stderr only. */
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

function crashed(
  job: ChildJob,
  what: string,
  code: number | null,
  killedBy: NodeJS.Signals | null,
  tail: string,
): OnnxEngineError {
  const how = killedBy ? `was killed by ${killedBy}` : `exited with code ${code}`
  return new OnnxEngineError(
    'COMPILE_FAILED',
    `${job.name}: the ${what} process ${how} before it was done${tail && `; its last words: ${tail}`}`,
    {
      ...(killedBy === 'SIGKILL' && {
        hint: 'The system kills a process so when memory runs out; compile fewer models at once or free memory',
      }),
    },
  )
}
