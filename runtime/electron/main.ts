/// <reference lib="esnext.disposable" preserve="true" />
import { OnnxEngineError, recordError } from '../errors.ts'
import { modelSubject, quote } from '../text.ts'
import type { CompactBindings, Inputs, Model } from '../types.ts'
import {
  defaultChannel,
  ownData,
  type BridgeOptions,
  type BridgeReply,
  type BridgeRequest,
  type ModelFacts,
} from './bridge.ts'

/**
 * The part of Electron's `ipcMain` that is used. The `ipc` of a WebContents or a frame works too, and serves only it.
 */
export interface IpcMain {
  on(channel: string, listener: (event: { readonly ports: readonly MainPort[] }) => void): unknown
  removeListener(channel: string, listener: (event: { readonly ports: readonly MainPort[] }) => void): unknown
}

/** The part of Electron's `MessagePortMain` that is used. */
export interface MainPort {
  on(event: 'message', listener: (event: { readonly data: unknown }) => void): unknown
  on(event: 'close', listener: () => void): unknown
  postMessage(message: unknown): void
  start(): void
  close(): void
}

export interface ExposedModel {
  /** Ends all connections with their calls in flight; the model itself stays as it is. */
  dispose(): void
  [Symbol.dispose](): void
}

/**
 * Lets windows run a model of the main process through `connectModel`. Call it before they load. The main process keeps
 * control of the model: a window cannot dispose it, and a window that goes away aborts only its own calls. Throws
 * OPTION_INVALID for a channel that another model has.
 */
export function exposeModel(
  ipcMain: IpcMain,
  model: Model,
  { channel = defaultChannel }: BridgeOptions = {},
): ExposedModel {
  const endConnections = new Set<() => void>()
  const releaseChannel = claimChannel(ipcMain, channel, model.name)
  const connect = ({ ports: [port] }: { readonly ports: readonly MainPort[] }) => {
    if (port !== undefined) serve(port, model, endConnections)
  }
  const dispose = () => {
    ipcMain.removeListener(channel, connect)
    releaseChannel()
    for (const end of endConnections) end()
  }
  ipcMain.on(channel, connect)
  return { dispose, [Symbol.dispose]: dispose }
}

const claimedChannels = new WeakMap<IpcMain, Map<string, string>>()

// Two models on one channel would both answer every window.
function claimChannel(ipcMain: IpcMain, channel: string, name: string): () => void {
  const channels = claimedChannels.get(ipcMain) ?? new Map<string, string>()
  const other = channels.get(channel)
  if (other !== undefined) {
    throw new OnnxEngineError('OPTION_INVALID', `exposeModel() of ${modelSubject(name)}: option "channel"`, {
      expected: 'a channel that no model has',
      received: `${quote(channel)}, which ${modelSubject(other)} has`,
      hint: 'Give each model its own channel, here and in connectModel().',
    })
  }
  claimedChannels.set(ipcMain, channels.set(channel, name))
  return () => void channels.delete(channel)
}

function serve(port: MainPort, model: Model, endConnections: Set<() => void>): void {
  const running = new Map<number, AbortController>()
  let open = true

  // Without a transfer list: the main process's ports in Electron transfer nothing but ports.
  const reply = (message: BridgeReply) => {
    if (open) port.postMessage(message)
  }
  const close = () => {
    open = false
    endConnections.delete(end)
    for (const call of running.values()) call.abort()
  }
  const end = () => {
    const gone = new OnnxEngineError('DISPOSED', modelSubject(model.name), {
      expected: 'a model in use',
      received: 'one that the main process no longer exposes',
    })
    reply({ id: 'end', error: recordError(gone, 'DISPOSED') })
    close()
    port.close()
  }
  const handle = async (request: BridgeRequest) => {
    const { id, call } = request
    if (call === 'abort') return running.get(id)?.abort()
    const abort = new AbortController()
    running.set(id, abort)
    try {
      reply({ id, value: await handlers[call](model, request, abort.signal) })
    } catch (error) {
      reply({ id, error: recordError(error, 'INFERENCE_FAILED') })
    } finally {
      running.delete(id)
    }
  }

  endConnections.add(end)
  port.on('message', ({ data }) => {
    // A page may send anything.
    if (isRequest(data)) void handle(data)
  })
  port.on('close', close)
  port.start()
  reply({ id: 0, value: factsOf(model) })
}

const handlers: Readonly<
  Record<'load' | 'infer', (model: Model, request: BridgeRequest, signal: AbortSignal) => Promise<unknown>>
> = {
  async load(model) {
    return factsOf(await model.load())
  },
  // The inputs are clones that arrived here: nothing else refers to them, so they may be moved.
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
    (data.call === 'abort' || Object.hasOwn(handlers, data.call))
  )
}
