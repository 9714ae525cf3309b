// The worker of a page: onnxruntime-web and the engines that are open in it. The plugin ships this file as it is, so it
// imports nothing but what its first message names.
import type { InferenceSession, Tensor } from 'onnxruntime-node'
import type { DType } from '../dtype.ts'
import type { WebFailure, WebReply, WebRequest, WebTensor } from './protocol.ts'

type Answer = Omit<WebReply, 'id'>

/** The part of onnxruntime-web that is used. */
interface Library {
  readonly env: { logLevel: string; readonly wasm: WasmSettings; readonly webgpu: { readonly device?: unknown } }
  readonly InferenceSession: {
    create(bytes: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>
  }
  readonly Tensor: new (type: string, data: WebTensor['data'], dims: readonly number[]) => Tensor
}

interface WasmSettings {
  wasmPaths: { readonly mjs: string }
  wasmBinary: ArrayBuffer | undefined
  numThreads: number | undefined
}

interface Adapter {
  readonly info?: { readonly isFallbackAdapter?: boolean; readonly vendor?: string; readonly architecture?: string }
  readonly isFallbackAdapter?: boolean
  readonly features: ReadonlySet<string>
}

interface WorkerScope {
  readonly navigator: { readonly gpu?: { requestAdapter(): Promise<Adapter | null> } }
  postMessage(reply: WebReply, transfer: readonly ArrayBuffer[]): void
  addEventListener(event: 'message', listener: (event: { readonly data: WebRequest }) => void): void
}

const scope = globalThis as unknown as WorkerScope

let library: Library | undefined
const engines = new Map<number, InferenceSession>()
const waiting = new Set<number>()
let last: Promise<unknown> = Promise.resolve()
let lostDevice: string | undefined

const handlers: {
  readonly [K in Exclude<WebRequest['kind'], 'cancel'>]: (request: Extract<WebRequest, { kind: K }>) => Promise<Answer>
} = {
  async start({ start: { library: code, loader, wasm, threads } }) {
    // Where the platform has Float16Array, onnxruntime-web takes no other array for float16. This global scope is the
    // worker's own; without the class it takes the raw 16 bits, as a binding promises them.
    Reflect.deleteProperty(globalThis, 'Float16Array')
    const loaded = await loadCode(code, loader)
    if ('message' in loaded) return { error: loaded }
    loaded.env.logLevel = 'error'
    Object.assign(loaded.env.wasm, { wasmPaths: { mjs: loader }, wasmBinary: wasm, numThreads: threads })
    library = loaded
    return {}
  },

  async adapter({ allowSoftware, shaderF16 }) {
    return { refusal: await adapterRefusal(allowSoftware, shaderF16) }
  },

  async open({ engine, opening: { backend, bytes, warmUp } }) {
    if (!library) return notOpen
    const session = await library.InferenceSession.create(new Uint8Array(bytes), {
      executionProviders: [backend],
      // An .ort engine was optimised when it was compiled.
      graphOptimizationLevel: isOrt(bytes) ? 'disabled' : 'all',
      logSeverityLevel: 4,
    })
    // It is compiled by now, and as long as all engines of most pages.
    library.env.wasm.wasmBinary = undefined
    if (backend === 'webgpu') await watchDevice(library)
    if (warmUp) await run(session, warmUp)
    engines.set(engine, session)
    return {}
  },

  async run({ engine, inputs }) {
    const session = engines.get(engine)
    return session ? { outputs: await run(session, inputs) } : notOpen
  },

  async close({ engine }) {
    await engines.get(engine)?.release()
    engines.delete(engine)
    return {}
  },
}

const notOpen: Answer = { error: { message: 'the engine is not open' } }

// One request at a time: onnxruntime-web cannot begin a run while another one waits for the GPU.
scope.addEventListener('message', ({ data: request }) => {
  if (request.kind === 'cancel') {
    if (waiting.delete(request.id)) scope.postMessage({ id: request.id, cancelled: true }, [])
    return
  }
  waiting.add(request.id)
  last = last.then(() => answer(request))
})

async function answer(request: Exclude<WebRequest, { kind: 'cancel' }>): Promise<void> {
  if (!waiting.delete(request.id)) return
  const handle = handlers[request.kind] as (request: WebRequest) => Promise<Answer>
  const reply = await handle(request).catch((error: unknown): Answer => ({ error: failureOf(error) }))
  const moved = (reply.outputs ?? []).flatMap(({ data }) =>
    ArrayBuffer.isView(data) ? [data.buffer as ArrayBuffer] : [],
  )
  scope.postMessage({ id: request.id, ...reply }, [...new Set(moved)])
}

// Both at once: the second is what the first loads when an engine is opened.
async function loadCode(code: string, loader: string): Promise<Library | WebFailure> {
  try {
    const [loaded] = await Promise.all([import(code) as Promise<Library>, import(loader)])
    return loaded
  } catch (error) {
    return { message: textOf(error), kind: 'code' }
  }
}

async function adapterRefusal(allowSoftware: boolean, shaderF16: boolean): Promise<string | undefined> {
  const { gpu } = scope.navigator
  if (!gpu) return 'this browser has no WebGPU, or the page is not served by https'
  const adapter = await gpu.requestAdapter().catch(() => null)
  if (!adapter) return 'WebGPU has no adapter here'
  const { isFallbackAdapter = adapter.isFallbackAdapter, vendor = '', architecture = '' } = adapter.info ?? {}
  if (isFallbackAdapter && !allowSoftware)
    return `the adapter of WebGPU is software (${vendor} ${architecture}), which is slower than the CPU`
  return shaderF16 && !adapter.features.has('shader-f16') ? 'the GPU has no fp16 (shader-f16)' : undefined
}

async function watchDevice({ env }: Library): Promise<void> {
  const device = (await env.webgpu.device) as { readonly lost?: Promise<{ readonly message: string }> } | undefined
  void device?.lost?.then(({ message }) => {
    lostDevice = message || 'the device was lost'
  })
}

async function run(session: InferenceSession, inputs: readonly WebTensor[]): Promise<readonly WebTensor[]> {
  if (!library) return []
  const { Tensor } = library
  const feeds = Object.fromEntries(inputs.map(({ name, dtype, dims, data }) => [name, new Tensor(dtype, data, dims)]))
  const outputs = await session.run(feeds)
  return Object.entries(outputs).map(([name, { type, dims, data }]) => ({
    name,
    dtype: type as DType,
    dims,
    data: data as WebTensor['data'],
  }))
}

function failureOf(error: unknown): WebFailure {
  const message = textOf(error)
  if (lostDevice !== undefined) return { message: `${message} (${lostDevice})`, kind: 'lost' }
  if (/device.{0,40}lost|lost.{0,40}device/i.test(message)) return { message, kind: 'lost' }
  const isDead = error instanceof Error && (error.name === 'RuntimeError' || /Aborted\(/.test(message))
  return { message, ...(isDead && { kind: 'dead' }) }
}

// FlatBuffers keep their file identifier behind the first offset (onnxruntime/core/flatbuffers/schema/ort.fbs).
function isOrt(bytes: ArrayBuffer): boolean {
  return bytes.byteLength >= 8 && String.fromCharCode(...new Uint8Array(bytes, 4, 4)) === 'ORTM'
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
