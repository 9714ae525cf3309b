import { OnnxEngineError, recordError } from '../errors.ts'
import type { CompactBindings, Inputs, Model } from '../types.ts'
/// <reference lib="esnext.disposable" preserve="true" />
import {
  defaultChannel,
  ownData,
  type BridgeOptions,
  type BridgeReply,
  type BridgeRequest,
  type ModelFacts,
} from './bridge.ts'

/**
 * What is used of Electron's `ipcMain`; the `ipc` of a WebContents or a frame will do too, and admits only that one.
 */
export interface IpcMain {
  on(channel: string, listener: (event: { readonly ports: readonly MainPort[] }) => void): unknown
  removeListener(channel: string, listener: (event: { readonly ports: readonly MainPort[] }) => void): unknown
}

/** What is used of Electron's `MessagePortMain`. */
export interface MainPort {
  on(event: 'message', listener: (event: { readonly data: unknown }) => void): unknown
  on(event: 'close', listener: () => void): unknown
  postMessage(message: unknown): void
  start(): void
  close(): void
}

export interface ExposedModel {
  /** Ends the connections and the calls in flight; the model itself stays as it is. */
  dispose(): void
  [Symbol.dispose](): void
}

/**
 * Lets windows run a model of the main process through `connectModel`. Call it before they load. The model stays the
 * main process's own: a window cannot dispose it, and a window that goes away aborts its own calls only. Throws
 * OPTION_INVALID for a channel that is taken.
 */
export function exposeModel(
  ipcMain: IpcMain,
  model: Model,
  { channel = defaultChannel }: BridgeOptions = {},
): ExposedModel {
  const ends = new Set<() => void>()
  const release = claim(ipcMain, channel, model.name)
  const connect = ({ ports: [port] }: { readonly ports: readonly MainPort[] }) => {
    if (port !== undefined) serve(port, model, ends)
  }
  const dispose = () => {
    ipcMain.removeListener(channel, connect)
    release()
    for (const end of ends) end()
  }
  ipcMain.on(channel, connect)
  return { dispose, [Symbol.dispose]: dispose }
}

const taken = new WeakMap<IpcMain, Map<string, string>>()

// Two models on one channel would both answer every window.
function claim(ipcMain: IpcMain, channel: string, name: string): () => void {
  const channels = taken.get(ipcMain) ?? new Map<string, string>()
  const other = channels.get(channel)
  if (other !== undefined) {
    throw new OnnxEngineError('OPTION_INVALID', `exposeModel() of model ${JSON.stringify(name)}: option "channel"`, {
      expected: 'a channel that no model has',
      received: `${JSON.stringify(channel)}, which model ${JSON.stringify(other)} has`,
      hint: 'Give each model a channel of its own, here and in connectModel().',
    })
  }
  taken.set(ipcMain, channels.set(channel, name))
  return () => void channels.delete(channel)
}

function serve(port: MainPort, model: Model, ends: Set<() => void>): void {
  const running = new Map<number, AbortController>()
  let open = true

  // Without a list of what to transfer: Electron's ports of the main process move nothing but ports.
  const reply = (message: BridgeReply) => {
    if (open) port.postMessage(message)
  }
  const close = () => {
    open = false
    ends.delete(end)
    for (const call of running.values()) call.abort()
  }
  const end = () => {
    const gone = new OnnxEngineError('DISPOSED', `model ${JSON.stringify(model.name)}`, {
      expected: 'a model in use',
      received: 'one that the main process no longer exposes',
    })
    reply({ id: 'end', error: recordError(gone, 'DISPOSED') })
    close()
    port.close()
  }
  const answer = async (request: BridgeRequest) => {
    const { id, call } = request
    if (call === 'abort') return running.get(id)?.abort()
    const abort = new AbortController()
    running.set(id, abort)
    try {
      reply({ id, value: await answers[call](model, request, abort.signal) })
    } catch (error) {
      reply({ id, error: recordError(error, 'INFERENCE_FAILED') })
    } finally {
      running.delete(id)
    }
  }

  ends.add(end)
  port.on('message', ({ data }) => {
    // A page may send anything.
    if (isRequest(data)) void answer(data)
  })
  port.on('close', close)
  port.start()
  reply({ id: 0, value: factsOf(model) })
}

const answers: Readonly<
  Record<'load' | 'infer', (model: Model, request: BridgeRequest, signal: AbortSignal) => Promise<unknown>>
> = {
  async load(model) {
    return factsOf(await model.load())
  },
  // The clones that arrived are ours to give away.
  async infer(model, { inputs }, signal) {
    return ownData(await model.infer(inputs as Inputs<CompactBindings>, { signal, transfer: true }))
  },
}

function factsOf({ name, bindings, variant }: Model): ModelFacts {
  return { name, bindings, variant }
}

function isRequest(data: unknown): data is BridgeRequest {
  if (typeof data !== 'object' || data === null || !('id' in data) || !('call' in data)) return false
  return (
    typeof data.id === 'number' &&
    typeof data.call === 'string' &&
    (data.call === 'abort' || Object.hasOwn(answers, data.call))
  )
}
