import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import {
  connectModel,
  exposeModel,
  OnnxEngineError,
  type ConnectedModel,
  type ExposeOptions,
} from 'unplugin-onnx/electron'
import { createModel, type InferOptions, type Model } from 'unplugin-onnx/runtime'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { ModelManifest } from '../../runtime/manifest.ts'
import { createIpc } from '../support/electron.ts'
import { double, ortManifest, pair } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'

const folder = tempFolder()
let manifest: ModelManifest
const open: { dispose(): unknown }[] = []

beforeAll(async () => {
  manifest = await ortManifest(folder, 'double', double)
})
afterEach(async () => {
  vi.useRealTimers()
  for (const item of open.splice(0)) await item.dispose()
})

describe('window', () => {
  test('a window runs a model of the main process, and keeps its arrays', async () => {
    const pose = createModel(manifest)
    const { window } = connect(pose)
    const calls = [1, 2, 3].map(async (scale) =>
      window.infer({ x: { data: pair.data.map((value) => value * scale), dims: pair.dims } }),
    )
    expect((await Promise.all(calls)).map(({ y }) => [...y!.data])).toEqual([
      [2, 4],
      [4, 8],
      [6, 12],
    ])

    const data = Float32Array.of(5, 6)
    const { y } = await window.infer({ x: { data, dims: [1, 2] } }, { transfer: true })
    expect({ dtype: y!.dtype, dims: y!.dims, data: y!.data, kept: [...data] }).toEqual({
      dtype: 'float32',
      dims: [1, 2],
      data: Float32Array.of(10, 12),
      kept: [5, 6],
    })
    expect(await window.load()).toEqual({ name: 'double', bindings: manifest.bindings, variant: pose.variant })
    await pose.dispose()
    await expect(window.infer({ x: pair })).rejects.toMatchObject({ code: 'DISPOSED' })
  })

  test.each([
    [
      'an unknown name',
      { frame: pair },
      {
        code: 'INPUT_INVALID',
        message: 'model "double", input "frame": expected "x": float32[n,2], received an unknown name',
      },
    ],
    ['wrong dims', { x: { ...pair, dims: [1, 3] } }, { code: 'INPUT_INVALID', expected: '2 at dim 1 of float32[n,2]' }],
    ['no object', new Map(), { code: 'INPUT_INVALID', received: 'a Map' }],
    [
      'what cannot be sent',
      { x: { ...pair, read: () => 0 } },
      { code: 'INPUT_INVALID', expected: 'inputs of plain objects, typed arrays and strings' },
    ],
  ])('a window receives the error of %s as if the model were its own', async (_, inputs, error) => {
    const { window } = connect(createModel(manifest))
    const thrown = await window.infer(inputs as never).catch((reason: unknown) => reason)
    expect(thrown).toBeInstanceOf(OnnxEngineError)
    expect(thrown).toMatchObject(error)
  })

  test('a call sends the elements of a tensor and nothing around them, and shares no memory', async () => {
    const seen: ArrayBufferLike[] = []
    const { window } = connect(
      fakeModel(async (inputs) => {
        seen.push(...Object.values(inputs as Record<string, { data: Uint8Array }>).map(({ data }) => data.buffer))
        return {}
      }),
    )
    const shared = new Uint8Array(new SharedArrayBuffer(8))
    await window.infer({
      part: { data: new Uint8Array(1 << 20).subarray(8, 16), dims: [8] },
      shared: { data: shared, dims: [8] },
      pooled: { data: Buffer.from('12345678'), dims: [8] },
    })
    expect(seen.map((buffer) => [Object.prototype.toString.call(buffer), buffer.byteLength])).toEqual(
      Array.from({ length: 3 }, () => ['[object ArrayBuffer]', 8]),
    )
  })

  test('an aborted call ends at once, in the window and in the main process', async () => {
    const { model, started } = waitingModel()
    const { window } = connect(model)
    const abort = new AbortController()
    const result = window.infer({}, { signal: abort.signal })
    const { signal } = await started()
    abort.abort('changed my mind')
    await expect(result).rejects.toMatchObject({ code: 'ABORTED', cause: 'changed my mind' })
    await expect.poll(() => signal?.aborted).toBe(true)
    await expect(window.infer({}, { signal: abort.signal })).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(window.infer({}, { sigal: abort.signal } as InferOptions)).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      hint: 'Did you mean "signal"?',
    })
  })

  test('dispose waits for calls in flight, and leaves other windows alone', async () => {
    const { model, started, finish } = waitingModel()
    const { ipc, window } = connect(model)
    const other = track(connectModel(ipc.ipcRenderer))
    const result = window.infer({})
    await started()
    const disposed = window.dispose()
    await expect(window.infer({})).rejects.toMatchObject({ code: 'DISPOSED' })
    finish()
    expect(await result).toEqual({ done: true })
    await disposed
    expect(await other.load()).toMatchObject({ name: 'fake' })
  })

  test('a closed window aborts its own calls only', async () => {
    const { model, started, finish } = waitingModel()
    const { ipc, window } = connect(model)
    const other = track(connectModel(ipc.ipcRenderer))
    const kept = other.infer({})
    const { signal: keptSignal } = await started()
    const lost = window.infer({})
    const { signal: lostSignal } = await started()
    ipc.ports[0]?.close()
    await expect(lost).rejects.toMatchObject({ code: 'DISPOSED', received: 'one whose process is gone' })
    expect([keptSignal?.aborted, lostSignal?.aborted]).toEqual([false, true])
    finish()
    expect(await kept).toEqual({ done: true })
  })

  test('may have so many calls in flight, and is refused one more with a code until one ends', async () => {
    const { model, started, finish } = waitingModel()
    const { window } = connect(model, { maxCalls: 3 })
    await window.load()
    const running = [1, 2, 3].map(() => window.infer({}))
    for (const _ of running) await started()
    await expect(window.infer({})).rejects.toMatchObject({
      code: 'TOO_MANY_CALLS',
      message:
        'model on channel "unplugin-onnx": expected at most 3 calls in flight, received one more. ' +
        'Wait for earlier calls, or raise the option maxCalls of exposeModel().',
    })
    finish()
    await Promise.all(running)
    expect(await window.infer({})).toEqual({ done: true })
  })

  test('sends no more than 32 calls before anything has answered', async () => {
    const window = track(connectModel(createIpc().ipcRenderer))
    const calls = Array.from({ length: 40 }, () => window.infer({}).catch((error: unknown) => error))
    const refused = await Promise.all(calls.slice(32))
    expect(refused.map((error) => (error as OnnxEngineError).code)).toEqual(Array(8).fill('TOO_MANY_CALLS'))
    open.splice(0)
  })

  test('is refused what cannot be read, with a code', async () => {
    const { window } = connect(createModel(manifest))
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    await expect(window.infer(proxy)).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    await expect(window.infer({ x: proxy as never })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  })

  test('a call without an answer is an error after ten seconds', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const window = track(connectModel(createIpc().ipcRenderer, { channel: 'pose' }))
    const result = window.infer({}).catch((error: unknown) => error)
    vi.advanceTimersByTime(10_000)
    expect(await result).toMatchObject({
      code: 'UNSUPPORTED_TARGET',
      message:
        'model on channel "pose": expected an answer from the main process, received none in 10 s. ' +
        'Call exposeModel(ipcMain, model) with the same channel in the main process before the window loads.',
    })
    await expect(window.load()).rejects.toBe(await result)
  })
})

describe('main process', () => {
  test('a model that is no longer exposed ends its calls, and another may be exposed', async () => {
    const { model, started } = waitingModel()
    const { ipc, window, exposed } = connect(model)
    const result = window.infer({})
    const { signal } = await started()
    exposed.dispose()
    await expect(result).rejects.toMatchObject({
      code: 'DISPOSED',
      received: 'one that the main process no longer exposes',
    })
    expect(signal?.aborted).toBe(true)
    track(
      exposeModel(
        ipc.ipcMain,
        fakeModel(async () => ({ second: true })),
      ),
    )
    expect(await track(connectModel(ipc.ipcRenderer)).infer({})).toEqual({ second: true })
  })

  test('a channel can expose one model only', () => {
    const { ipc } = connect(fakeModel(async () => ({})))
    expect(() => exposeModel(ipc.ipcMain, createModel(manifest))).toThrow(
      expect.objectContaining({
        code: 'OPTION_INVALID',
        message:
          'exposeModel() of model "double": option "channel": expected a channel that no model has, ' +
          'received "unplugin-onnx", which model "fake" has. Give each model its own channel, here and ' +
          'in connectModel().',
      }),
    )
    track(exposeModel(ipc.ipcMain, createModel(manifest), { channel: 'double' }))
  })

  test.each([
    [{ maxCalls: 0 }, 'option "maxCalls": expected a whole number from 1, received 0'],
    [{ maxCalls: '3' }, 'option "maxCalls": expected a whole number from 1, received "3"'],
    [{ channel: '' }, 'option "channel": expected a name, received ""'],
    [{ channel: 7 }, 'option "channel": expected a name, received a number'],
  ])('refuses the options %o', (options, message) => {
    expect(() =>
      exposeModel(
        createIpc().ipcMain,
        fakeModel(async () => ({})),
        options as object,
      ),
    ).toThrow(expect.objectContaining({ code: 'OPTION_INVALID', message: expect.stringContaining(message) }))
  })

  test('holds no more calls than it allows, whatever a page sends', async () => {
    const { model, started, finish } = waitingModel()
    const { ipc } = connect(model, { maxCalls: 2 })
    const { port1, port2 } = new MessageChannel()
    ipc.ipcRenderer.postMessage('unplugin-onnx', null, [port2 as never])
    const replies: { id: number; error?: { code: string } }[] = []
    port1.addEventListener('message', (event) => replies.push((event as MessageEvent).data))
    port1.start()
    // The second number twice: a call that is running cannot be replaced by another one.
    for (const id of [1, 2, 2, 3, 4]) port1.postMessage({ id, call: 'infer', inputs: {} })
    await expect
      .poll(() => replies.filter(({ error }) => error))
      .toMatchObject([
        { id: 3, error: { code: 'TOO_MANY_CALLS' } },
        { id: 4, error: { code: 'TOO_MANY_CALLS' } },
      ])
    await started()
    await started()
    finish()
    await expect.poll(() => replies.filter(({ id, error }) => id > 0 && !error).map(({ id }) => id)).toEqual([1, 2])
    port1.close()
  })

  test('messages of any content from a page are harmless', async () => {
    const { ipc, window } = connect(createModel(manifest))
    await window.load()
    const { port1, port2 } = new MessageChannel()
    ipc.ipcRenderer.postMessage('unplugin-onnx', null, [] as never)
    ipc.ipcRenderer.postMessage('unplugin-onnx', null, [port2 as never])
    for (const message of [
      null,
      7,
      [],
      { id: 1 },
      { id: '1', call: 'infer' },
      { id: 1, call: 'dispose' },
      { id: 1, call: 'constructor' },
      { id: 1, call: 'abort' },
    ])
      port1.postMessage(message)
    const replies: unknown[] = []
    port1.addEventListener('message', (event) => replies.push((event as MessageEvent).data))
    port1.start()
    port1.postMessage({ id: 9, call: 'infer' })
    await expect.poll(() => replies.length).toBe(2)
    expect(replies).toMatchObject([{ id: 0 }, { id: 9, error: { code: 'INPUT_INVALID' } }])
    port1.close()
  })
})

test('a sandboxed preload script, which has no modules of Node.js, can hold the bridge', async () => {
  const input = join(folder, 'preload.js')
  const bundle = await rolldown({
    input,
    platform: 'browser',
    external: ['electron'],
    plugins: [
      {
        name: 'preload',
        resolveId: (id) => (id === input ? id : undefined),
        load: (id) => (id === input ? preload : undefined),
      },
    ],
    resolve: {
      alias: {
        'unplugin-onnx/electron': fileURLToPath(new URL('../../dist/runtime/electron/index.js', import.meta.url)),
      },
    },
  })
  const {
    output: [{ code, imports }],
  } = await bundle.generate({ format: 'cjs' })
  await bundle.close()
  expect(imports).toEqual(['electron'])
  expect(code).not.toMatch(/node:|\bprocess\.|\bBuffer[.(]/)
})

const preload = `
import { contextBridge, ipcRenderer } from 'electron'
import { connectModel } from 'unplugin-onnx/electron'
const pose = connectModel(ipcRenderer)
contextBridge.exposeInMainWorld('pose', { infer: (inputs) => pose.infer(inputs) })
`

function connect(
  model: Model,
  options: ExposeOptions = {},
): {
  ipc: ReturnType<typeof createIpc>
  exposed: ReturnType<typeof exposeModel>
  window: ConnectedModel<Model>
} {
  const ipc = createIpc()
  const exposed = track(exposeModel(ipc.ipcMain, model, options))
  return { ipc, exposed, window: track(connectModel(ipc.ipcRenderer)) }
}

function track<T extends { dispose(): unknown }>(item: T): T {
  open.unshift(item)
  return item
}

function fakeModel(infer: (inputs: unknown, options: InferOptions) => Promise<object>): Model {
  const model = {
    name: 'fake',
    bindings: { inputs: [], outputs: [] },
    variant: undefined,
    load: async () => model,
    infer,
    inferSync: undefined,
    dispose: async () => {},
    [Symbol.asyncDispose]: async () => {},
  } as Model
  return model
}

/** A model whose calls wait until they are told to finish; `started` gives the options of each. */
function waitingModel(): { model: Model; started(): Promise<InferOptions>; finish(): void } {
  const calls: InferOptions[] = []
  const gate = new AbortController()
  const opened = once(gate.signal, 'abort')
  const model = fakeModel(async (_, options) => {
    calls.push(options)
    await opened
    return { done: true }
  })
  const started = async () => {
    await vi.waitFor(() => expect(calls).not.toEqual([]))
    return calls.shift() ?? {}
  }
  return { model, started, finish: () => gate.abort() }
}
