import { EventEmitter } from 'node:events'
import type { MessagePort } from 'node:worker_threads'
import type { IpcMain, IpcRenderer, MainPort } from 'unplugin-onnx/electron'

export interface Ipc {
  readonly ipcMain: IpcMain
  readonly ipcRenderer: IpcRenderer
  /** The ports that the main process was given, in turn. */
  readonly ports: readonly MainPort[]
}

/**
 * Stands in for Electron's IPC between windows and the main process, on the ports of Node.js, as Electron's
 * documentation has it: a window's ports arrive in `event.ports`, queue until start(), are EventEmitters whose messages
 * are `{ data, ports }`, transfer nothing but ports (electron/electron#34905 and #37565), and tell by 'close' that the
 * other end is gone.
 */
export function createIpc(): Ipc {
  const ipcMain = new EventEmitter()
  const ports: MainPort[] = []
  const postMessage: IpcRenderer['postMessage'] = (channel, message, transfer) => {
    const event = { ports: (transfer as readonly MessagePort[]).map(mainPort) }
    ports.push(...event.ports)
    setImmediate(() => ipcMain.emit(channel, event, structuredClone(message)))
  }
  return { ipcMain, ipcRenderer: { postMessage }, ports }
}

function mainPort(port: MessagePort): MainPort {
  const events = new EventEmitter()
  port.on('close', () => events.emit('close'))
  return {
    on: (event: string, listener: (message: { readonly data: unknown }) => void) => events.on(event, listener),
    postMessage(message: unknown, ...transfer: unknown[]) {
      if (transfer.length > 0) throw new TypeError('Invalid value for transfer')
      port.postMessage(message)
    },
    start: () => void port.on('message', (data: unknown) => events.emit('message', { data, ports: [] })),
    close: () => port.close(),
  }
}
