import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { type ErrorRecord, OnnxEngineError, reviveError } from '../../runtime/errors.ts'
import type { NodeImport } from './model-url.ts'
import type { CompiledModule } from './start-record.ts'

/** What the guard receives when it starts. */
export interface ThreadData {
  readonly port: MessagePort
  /** Two numbers: one that wakes the waiting thread, and one that grows as long as the guard lives. */
  readonly signal: Int32Array<SharedArrayBuffer>
}

/** The answer to an import. */
export type ThreadReply = { readonly module: CompiledModule } | { readonly error: ErrorRecord }

/** The guard, which starts the compiling thread. */
interface Thread {
  readonly worker: Worker
  readonly port: MessagePort
  readonly signal: ThreadData['signal']
}

let thread: Thread | undefined
let idle: NodeJS.Timeout | undefined

/** Compiles a model while this thread waits. Throws what the compilation rejects with. */
export function compileSync(item: NodeImport): CompiledModule {
  clearTimeout(idle)
  const { port, signal } = (thread ??= startThread())
  Atomics.store(signal, 0, 0)
  port.postMessage(item)
  waitFor(signal, item)
  const reply = receiveMessageOnPort(port)?.message as ThreadReply
  idle = setTimeout(stopThread, idleMs).unref()
  if ('error' in reply) throw reviveError(reply.error)
  return reply.module
}

/** After this the thread ends: it takes memory, and an app loads its models at its start. */
const idleMs = 10_000

/** The guard sees a compiling thread that ends. This is for a guard that could not start, or was ended. */
const silenceMs = 30_000

function waitFor(signal: Thread['signal'], { id }: NodeImport): void {
  for (;;) {
    const before = Atomics.load(signal, 1)
    if (Atomics.wait(signal, 0, 0, silenceMs) !== 'timed-out') return
    if (Atomics.load(signal, 1) !== before) continue
    thread = undefined
    throw threadEnded(id, 'none')
  }
}

/** The error of a compiling thread that ended without an answer. */
export function threadEnded(id: string, received: string): OnnxEngineError {
  return new OnnxEngineError('COMPILE_FAILED', id, {
    expected: 'an answer of the compiling thread',
    received,
    hint: 'Compile the model before with `unplugin-onnx build`, or raise --max-old-space-size',
  })
}

function startThread(): Thread {
  const { port1: port, port2 } = new MessageChannel()
  const signal = new Int32Array(new SharedArrayBuffer(8))
  const workerData: ThreadData = { port: port2, signal }
  const worker = new Worker(new URL('./compile-guard.js', import.meta.url), {
    workerData,
    transferList: [port2],
    // Without the hook itself, whose models this thread compiles.
    execArgv: [],
    env: { ...process.env, NODE_OPTIONS: withoutHook(process.env['NODE_OPTIONS'] ?? '') },
  })
  worker.unref()
  port.unref()
  return { worker, port, signal }
}

function stopThread(): void {
  void thread?.worker.terminate()
  thread = undefined
}

function withoutHook(options: string): string {
  return options.replace(/(?:^|\s)--import[= ]\s*("?)\S*\bunplugin-onnx\/node\1(?=\s|$)/g, ' ')
}
