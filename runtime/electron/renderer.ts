/// <reference lib="esnext.disposable" preserve="true" />
import { abortedError, onAbort } from '../abort.ts'
import { OnnxEngineError, reviveError } from '../errors.ts'
import { checkInferOptions } from '../options.ts'
import type { InferOptions } from '../session.ts'
import type { Model } from '../types.ts'
import {
  defaultChannel,
  ownData,
  type BridgeOptions,
  type BridgeReply,
  type BridgeRequest,
  type ModelFacts,
} from './bridge.ts'

/** What is used of Electron's `ipcRenderer`. */
export interface IpcRenderer {
  // The type of ports is that of DOM, which an app need not have.
  postMessage(channel: string, message: unknown, transfer: never[]): void
}

/** A model of the main process, as a window has it. */
export interface ConnectedModel<M extends Model> {
  /**
   * Opens the engine now instead of at the first infer(), and tells what the model is. Rejects as the model's own
   * load() does.
   */
  load(): Promise<ModelFacts>
  /**
   * Runs the model as its own infer() does, and rejects with the same codes. Inputs and outputs are copied once on
   * their way, because Electron moves no buffers between processes: `transfer` is accepted and changes nothing here.
   */
  readonly infer: M['infer']
  /** Waits for the calls in flight, then ends this connection; the model of the main process stays as it is. */
  dispose(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * The model that the main process has exposed on the channel, for a preload script or a window. Returns at once; calls
 * wait for the connection, and reject with UNSUPPORTED_TARGET when nothing has answered for ten seconds.
 */
export function connectModel<M extends Model = Model>(
  ipcRenderer: IpcRenderer,
  { channel = defaultChannel }: BridgeOptions = {},
): ConnectedModel<M> {
  const where = `model on channel ${JSON.stringify(channel)}`
  const calls = new Map<number, Call>()
  const running = new Set<Promise<unknown>>()
  const { port1, port2 } = new MessageChannel() as unknown as { readonly port1: WindowPort; readonly port2: never }
  let last = 0
  let connected = false
  let waiting: ReturnType<typeof setTimeout> | undefined
  let ended: OnnxEngineError | undefined
  let disposing: Promise<void> | undefined

  port1.addEventListener('message', ({ data: reply }) => {
    if (reply.id === 'end') return end(reviveError(reply.error))
    connected = true
    clearTimeout(waiting)
    const call = calls.get(reply.id)
    calls.delete(reply.id)
    if ('error' in reply) call?.reject(reviveError(reply.error))
    else call?.resolve(reply.value)
  })
  port1.addEventListener('close', () => end(disposed(where, 'one whose process is gone')))
  port1.start()
  ipcRenderer.postMessage(channel, null, [port2])

  return {
    load: () => request('load') as Promise<ModelFacts>,
    infer: infer as M['infer'],
    dispose,
    [Symbol.asyncDispose]: dispose,
  }

  async function infer(inputs: unknown, given: InferOptions = {}): Promise<unknown> {
    const { signal } = checkInferOptions(channel, given)
    if (signal?.aborted) throw abortedError(where, signal)
    const result = request('infer', ownData(inputs))
    if (!signal) return result
    const id = last
    const forget = onAbort(signal, () => {
      const call = calls.get(id)
      if (!call) return
      calls.delete(id)
      post({ id, call: 'abort' })
      call.reject(abortedError(where, signal))
    })
    return result.finally(forget)
  }

  function request(call: 'load' | 'infer', inputs?: unknown): Promise<unknown> {
    const id = ++last
    if (ended) return Promise.reject(ended)
    if (disposing) return Promise.reject(disposed(where, 'a disposed one'))
    if (!connected) waiting ??= setTimeout(() => end(unanswered(where)), patienceMs)
    const result = new Promise((resolve, reject) => {
      post({ id, call, inputs })
      calls.set(id, { resolve, reject })
    })
    running.add(result)
    const done = () => running.delete(result)
    result.then(done, done)
    return result
  }

  function post(message: BridgeRequest): void {
    try {
      port1.postMessage(message)
    } catch (cause) {
      const received = cause instanceof Error ? cause.message : String(cause)
      throw new OnnxEngineError('INPUT_INVALID', where, {
        expected: 'inputs of plain objects, typed arrays and strings',
        received,
        cause,
      })
    }
  }

  function end(error: OnnxEngineError): void {
    ended ??= error
    clearTimeout(waiting)
    for (const { reject } of calls.values()) reject(ended)
    calls.clear()
    port1.close()
  }

  function dispose(): Promise<void> {
    disposing ??= Promise.allSettled(running).then(() => end(disposed(where, 'a disposed one')))
    return disposing
  }
}

interface Call {
  resolve(value: unknown): void
  reject(error: unknown): void
}

// The MessagePort of a window, with the event that Electron adds.
interface WindowPort {
  addEventListener(event: 'message', listener: (event: { readonly data: BridgeReply }) => void): void
  addEventListener(event: 'close', listener: () => void): void
  postMessage(message: BridgeRequest): void
  start(): void
  close(): void
}

// A window may be there before the main process has read its files.
const patienceMs = 10_000

function disposed(where: string, received: string): OnnxEngineError {
  return new OnnxEngineError('DISPOSED', where, { expected: 'a model in use', received })
}

function unanswered(where: string): OnnxEngineError {
  return new OnnxEngineError('UNSUPPORTED_TARGET', where, {
    expected: 'an answer of the main process',
    received: `none in ${patienceMs / 1000} s`,
    hint: 'Call exposeModel(ipcMain, model) with the same channel in the main process before the window loads.',
  })
}
