/// <reference lib="esnext.disposable" preserve="true" />
import { abortedError, onAbort } from '../abort.ts'
import { OnnxEngineError, reviveError, textOf } from '../errors.ts'
import { createInFlight } from '../in-flight.ts'
import { checkInferOptions } from '../options.ts'
import type { InferOptions } from '../session.ts'
import { quote } from '../text.ts'
import type { Model } from '../types.ts'
import {
  defaultChannel,
  ownData,
  type BridgeOptions,
  type BridgeReply,
  type BridgeRequest,
  type ModelFacts,
} from './bridge.ts'

/** The part of Electron's `ipcRenderer` that is used. */
export interface IpcRenderer {
  // The type of ports is DOM's, which an app need not have.
  postMessage(channel: string, message: unknown, transfer: never[]): void
}

/** A model of the main process, as a window sees it. */
export interface ConnectedModel<M extends Model> {
  /**
   * Opens the engine now instead of at the first infer(), and returns what the model is. Rejects with the same codes as
   * the model's own load().
   */
  load(): Promise<ModelFacts>
  /**
   * Runs the model as its own infer() does, and rejects with the same codes. Inputs and outputs are copied once on
   * their way, because Electron moves no buffers between processes: `transfer` is accepted and has no effect here.
   */
  readonly infer: M['infer']
  /** Waits for calls in flight, then ends this connection; the model in the main process stays as it is. */
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
  const subject = `model on channel ${quote(channel)}`
  const { port1, port2 } = new MessageChannel() as unknown as { readonly port1: WindowPort; readonly port2: never }
  const connection = createConnection(port1, subject)
  ipcRenderer.postMessage(channel, null, [port2])
  let disposing: Promise<void> | undefined

  return {
    load: () => send('load').result as Promise<ModelFacts>,
    infer: infer as M['infer'],
    dispose,
    [Symbol.asyncDispose]: dispose,
  }

  async function infer(inputs: unknown, options: InferOptions = {}): Promise<unknown> {
    const { signal } = checkInferOptions(channel, options)
    if (signal?.aborted) throw abortedError(subject, signal.reason)
    const { result, abort } = send('infer', ownData(inputs))
    if (!signal) return result
    const stopListening = onAbort(signal, () => abort(abortedError(subject, signal.reason)))
    return result.finally(stopListening)
  }

  function send(call: 'load' | 'infer', inputs?: unknown): SentCall {
    return connection.send(call, inputs, disposing && disposedError(subject, 'a disposed one'))
  }

  function dispose(): Promise<void> {
    disposing ??= connection.settled().then(() => connection.end(disposedError(subject, 'a disposed one')))
    return disposing
  }
}

/** A call on its way to the main process. */
interface SentCall {
  readonly result: Promise<unknown>
  /** Rejects the result now, unless it is there, and asks the main process to stop. */
  abort(error: OnnxEngineError): void
}

/** The port to the main process with its numbered calls. */
interface Connection {
  /** `refusal` is the error of a call that may not be made any more. */
  send(call: 'load' | 'infer', inputs: unknown, refusal: OnnxEngineError | undefined): SentCall
  settled(): Promise<void>
  /** Rejects all calls, those to come as well. */
  end(error: OnnxEngineError): void
}

function createConnection(port: WindowPort, subject: string): Connection {
  const calls = new Map<number, PromiseCallbacks>()
  const running = createInFlight()
  let lastId = 0
  let connected = false
  let patience: ReturnType<typeof setTimeout> | undefined
  let ended: OnnxEngineError | undefined

  port.addEventListener('message', ({ data: reply }) => {
    if (reply.id === 'end') return end(reviveError(reply.error))
    connected = true
    clearTimeout(patience)
    const call = calls.get(reply.id)
    calls.delete(reply.id)
    if ('error' in reply) call?.reject(reviveError(reply.error))
    else call?.resolve(reply.value)
  })
  port.addEventListener('close', () => end(disposedError(subject, 'one whose process is gone')))
  port.start()
  return { send, settled: () => running.settled(), end }

  function send(call: 'load' | 'infer', inputs: unknown, refusal = ended): SentCall {
    const id = ++lastId
    if (refusal) return { result: Promise.reject(refusal), abort() {} }
    if (!connected) patience ??= setTimeout(() => end(unansweredError(subject)), patienceMs)
    const result = new Promise((resolve, reject) => {
      post(port, { id, call, inputs }, subject)
      calls.set(id, { resolve, reject })
    })
    return { result: running.track(result), abort: (error) => abort(id, error) }
  }

  function abort(id: number, error: OnnxEngineError): void {
    const call = calls.get(id)
    if (!call) return
    calls.delete(id)
    post(port, { id, call: 'abort' }, subject)
    call.reject(error)
  }

  function end(error: OnnxEngineError): void {
    ended ??= error
    clearTimeout(patience)
    for (const { reject } of calls.values()) reject(ended)
    calls.clear()
    port.close()
  }
}

interface PromiseCallbacks {
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

// A window may exist before the main process has read its files.
const patienceMs = 10_000

function post(port: WindowPort, message: BridgeRequest, subject: string): void {
  try {
    port.postMessage(message)
  } catch (cause) {
    const expected = 'inputs of plain objects, typed arrays and strings'
    throw new OnnxEngineError('INPUT_INVALID', subject, { expected, received: textOf(cause), cause })
  }
}

function disposedError(subject: string, received: string): OnnxEngineError {
  return new OnnxEngineError('DISPOSED', subject, { expected: 'a model in use', received })
}

function unansweredError(subject: string): OnnxEngineError {
  return new OnnxEngineError('UNSUPPORTED_TARGET', subject, {
    expected: 'an answer from the main process',
    received: `none in ${patienceMs / 1000} s`,
    hint: 'Call exposeModel(ipcMain, model) with the same channel in the main process before the window loads.',
  })
}
