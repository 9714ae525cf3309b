import { SHARE_ENV, Worker } from 'node:worker_threads'
import { closeAtExit } from '../../native/exit-gate.ts'
import type { DType } from '../dtype.ts'
import { OnnxEngineError } from '../errors.ts'

/**
 * What the main side asks of `worker-main.cts`. Engines are numbered by it; every request gets one reply with its `id`.
 */
export type WorkerRequest =
  | {
      readonly id: number
      readonly kind: 'open'
      readonly engine: number
      readonly bytes: ArrayBuffer
      /** Bytes of the model if weights follow it, as large-engine.ts describes. */
      readonly modelBytes: number | undefined
      readonly weights: { readonly name: string; readonly footer: number }
      readonly threads?: number | undefined
      /** Default: the CPU. */
      readonly provider?: 'webgpu' | undefined
    }
  | {
      readonly id: number
      readonly kind: 'run'
      readonly engine: number
      readonly inputs: readonly WorkerTensor[]
      readonly pooled?: ArrayBuffer | undefined
    }
  | { readonly id: number; readonly kind: 'close'; readonly engine: number }

export interface WorkerTensor {
  readonly name: string
  readonly dtype: DType
  readonly dims: readonly number[]
  readonly data: ArrayBufferView | readonly string[]
}

export interface WorkerReply {
  readonly id: number
  readonly outputs?: readonly WorkerTensor[]
  /** The request's buffer on its way back to the pool. */
  readonly pooled?: ArrayBuffer
  /** ONNX Runtime's own text, or why it could not be loaded at all. */
  readonly error?: { readonly message: string; readonly missing?: boolean }
}

type WithoutId<R> = R extends unknown ? Omit<R, 'id'> : never

/** A request before it is sent. */
export interface Job {
  readonly request: WithoutId<WorkerRequest>
  readonly transfer: readonly ArrayBuffer[]
  /** The model's name for messages. */
  readonly where: string
  /** Skips the job when it has not been sent yet. */
  readonly signal?: AbortSignal | undefined
}

/** A worker that is started by the first job, and again by the first job after it died. */
export interface EngineWorker {
  /** Counts the deaths: what was opened in an earlier generation is gone. */
  readonly generation: number
  /** Jobs that are waiting or running. */
  readonly pending: number
  /** Resolves with the reply, or undefined when the job was skipped. Rejects with WORKER_CRASHED. */
  send(job: Job): Promise<WorkerReply | undefined>
  /** Starts it before the first job, to save time. */
  start(): void
  stop(): Promise<void>
}

interface Waiting {
  readonly job: Job
  readonly resolve: (reply: WorkerReply | undefined) => void
  readonly reject: (error: OnnxEngineError) => void
}

// One job runs and one lies ready in the worker's port, so that it never idles; the others stay here, where an abort
// can still skip them.
const sentAtOnce = 2

export function createEngineWorker(): EngineWorker {
  const queue: Waiting[] = []
  const sent = new Map<number, Waiting>()
  let worker: Worker | undefined
  let generation = 0
  let lastId = 0

  return {
    get generation() {
      return generation
    },
    get pending() {
      return queue.length + sent.size
    },
    send(job) {
      return new Promise((resolve, reject) => {
        queue.push({ job, resolve, reject })
        pump()
      })
    },
    start() {
      worker ??= launch()
      pump()
    },
    stop: async () => void (await worker?.terminate()),
  }

  function pump(): void {
    while (sent.size < sentAtOnce) {
      const next = queue.shift()
      if (!next) break
      if (next.job.signal?.aborted) next.resolve(undefined)
      else post(next)
    }
    // Only work in progress keeps the process alive.
    if (sent.size > 0) worker?.ref()
    else worker?.unref()
  }

  function post(waiting: Waiting): void {
    worker ??= launch()
    sent.set(++lastId, waiting)
    worker.postMessage({ id: lastId, ...waiting.job.request }, waiting.job.transfer)
  }

  function launch(): Worker {
    const started = startThread()
    started.on('message', (reply: WorkerReply) => {
      sent.get(reply.id)?.resolve(reply)
      sent.delete(reply.id)
      pump()
    })
    onEnd(started, (code, failure) => lose(started, code, failure))
    return started
  }

  function lose(dead: Worker, code: number, cause: unknown): void {
    if (worker !== dead) return
    worker = undefined
    generation++
    const lost = [...sent.values(), ...queue.splice(0)]
    sent.clear()
    const received = cause instanceof Error ? cause.message : `exit code ${code}`
    for (const { job, reject } of lost) reject(crashed(job, received, cause))
  }
}

/** Calls back when a thread has ended, with its exit code and the error that ended it, if there was one. */
function onEnd(thread: Worker, ended: (code: number, failure: unknown) => void): void {
  let failure: unknown
  thread.on('messageerror', (error) => {
    failure = error
    void thread.terminate()
  })
  thread.on('error', (error) => {
    failure = error
  })
  thread.on('exit', (code) => ended(code, failure))
}

function crashed({ where }: Job, received: string, cause: unknown): OnnxEngineError {
  return new OnnxEngineError('WORKER_CRASHED', `${where}: the worker that runs ONNX Runtime ended`, {
    expected: 'a reply',
    received,
    hint: 'The next call starts it again.',
    cause,
  })
}

/** Starts the thread, which the exit of this process waits for. */
function startThread(): Worker {
  // From 1.29 on ONNX Runtime for Linux sends names and hashes of models to its makers, and a process starts 50 ms
  // later for it. Set here and not in the worker: setting a variable while another thread reads one can crash the
  // process.
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1'
  const gate = newGate()
  // Flags of the process, such as loaders and inspectors, are not meant for this worker and slow its start.
  const started = new Worker(new URL('./worker-main.cjs', import.meta.url), {
    name: 'unplugin-onnx',
    execArgv: [],
    env: SHARE_ENV,
    workerData: gate.buffer,
  })
  started.once('exit', () => gates.delete(gate))
  return started
}

/**
 * What a worker and this side share: [0] is 1 while the worker may be inside native code, [1] is 1 when it is not to
 * enter it any more.
 */
type Gate = Int32Array<SharedArrayBuffer>

const gates = new Set<Gate>()

function newGate(): Gate {
  if (!waits) closeAtExit(waitForNative)
  waits = true
  const gate = new Int32Array(new SharedArrayBuffer(8))
  // It begins by loading ONNX Runtime.
  gate[0] = 1
  gates.add(gate)
  return gate
}

let waits = false

// Node.js ends workers when the process exits. One inside onnxruntime-node then aborts the whole process (SIGABRT, exit
// code 134): the native module throws when it cannot hand its result over, and nobody catches that. So the exit waits
// for the call that runs, and no other begins.
function waitForNative(milliseconds: number): void {
  for (const gate of gates) Atomics.store(gate, 1, 1)
  const end = Date.now() + milliseconds
  for (const gate of gates) Atomics.wait(gate, 0, 1, Math.max(0, end - Date.now()))
}
