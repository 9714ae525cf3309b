// CommonJS, unlike every other module: a worker is up a third sooner without the loader of ES modules.
import type { InferenceSession, Tensor as PublicTensor } from 'onnxruntime-node'
import type { DType } from '../dtype.ts'
import type { WorkerReply, WorkerRequest, WorkerTensor } from './worker.ts'

const { parentPort, workerData } = require('node:worker_threads') as typeof import('node:worker_threads')
const { dirname, join } = require('node:path') as typeof import('node:path')

type Answer = Omit<WorkerReply, 'id' | 'pooled'>

/** The part of onnxruntime-node that runs engines. */
interface Library {
  readonly Tensor: new (type: string, data: WorkerTensor['data'], dims: readonly number[]) => Tensor
  open(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<Session>
}

type Tensor = Pick<PublicTensor, 'type' | 'data' | 'dims'>
type Tensors = Readonly<Record<string, Tensor>>

interface Session {
  /** Names of the outputs. */
  readonly outputs: readonly string[]
  run(feeds: Tensors): Promise<Tensors>
  release(): Promise<void>
}

interface Engine {
  readonly session: Session
  /** The session computes on these bytes themselves, so they live as long as it. */
  readonly bytes: ArrayBuffer | undefined
}

// A class because the native module makes its outputs by `new`. It stands up here because the next statement uses it.
class PlainTensor implements Tensor {
  // The native module asks where the data lies.
  readonly location = 'cpu'
  readonly type: Tensor['type']
  readonly data: Tensor['data']
  readonly dims: readonly number[]

  constructor(type: string, data: WorkerTensor['data'], dims: readonly number[]) {
    this.type = type as Tensor['type']
    this.data = data as Tensor['data']
    this.dims = dims
  }
}

const gate = new Int32Array(workerData as SharedArrayBuffer)

// Loaded before the first request arrives: it takes as long as reading an engine does on the other side.
const library = loadLibrary()
leaveNative()
const engines = new Map<number, Engine>()

const handlers: {
  readonly [K in WorkerRequest['kind']]: (request: Extract<WorkerRequest, { kind: K }>) => Promise<Answer>
} = {
  async open({ engine, bytes, modelBytes, weights, threads, provider }) {
    if ('missing' in library) return { error: { message: library.missing, missing: true } }
    const options = {
      ...quiet,
      ...(isOrt(bytes) ? finished : portable),
      ...(threads !== undefined && { intraOpNumThreads: threads }),
      ...(provider && { executionProviders: [provider] }),
      ...(modelBytes !== undefined && { externalData: [externalData(bytes, modelBytes, weights)] }),
    }
    const session = await library.open(new Uint8Array(bytes, 0, modelBytes), options)
    // Weights behind the model were copied.
    engines.set(engine, { session, bytes: modelBytes === undefined ? bytes : undefined })
    return {}
  },

  async run({ engine, inputs }) {
    const session = engines.get(engine)?.session
    if ('missing' in library || !session) return { error: { message: 'the engine is not open' } }
    const { Tensor } = library
    const feeds = Object.fromEntries(inputs.map(({ name, dtype, dims, data }) => [name, new Tensor(dtype, data, dims)]))
    const results = await session.run(feeds)
    return { outputs: session.outputs.map((name) => workerTensor(name, results)) }
  },

  async close({ engine }) {
    await engines.get(engine)?.session.release()
    engines.delete(engine)
    return {}
  },
}

// Every error reaches the caller as one: it need not be on stderr as well.
const quiet: InferenceSession.SessionOptions = { logSeverityLevel: 4 }

// An .ort engine was optimised when it was compiled, and is used in place instead of being copied.
const finished: InferenceSession.SessionOptions = {
  graphOptimizationLevel: 'disabled',
  extra: {
    session: { load_model_format: 'ORT', use_ort_model_bytes_directly: '1', use_ort_model_bytes_for_initializers: '1' },
  },
}

// A portable engine is an ONNX file, which is laid out for this CPU now.
const portable: InferenceSession.SessionOptions = { graphOptimizationLevel: 'all' }

parentPort?.on('message', async (request: WorkerRequest) => {
  const handle = handlers[request.kind] as (request: WorkerRequest) => Promise<Answer>
  Atomics.store(gate, 0, 1)
  // See `waitForNative` of worker.ts.
  const leaving = Atomics.load(gate, 1) === 1
  const answer = leaving
    ? {}
    : await handle(request).catch((error: unknown): Answer => ({ error: { message: textOf(error) } }))
  leaveNative()
  const pooled = request.kind === 'run' ? request.pooled : undefined
  const moved = (answer.outputs ?? []).flatMap(({ data }) =>
    ArrayBuffer.isView(data) ? [data.buffer as ArrayBuffer] : [],
  )
  parentPort?.postMessage({ id: request.id, ...answer, ...(pooled && { pooled }) }, pooled ? [...moved, pooled] : moved)
})

function leaveNative(): void {
  Atomics.store(gate, 0, 0)
  Atomics.notify(gate, 0)
}

function loadLibrary(): Library | { readonly missing: string } {
  // Where the platform has Float16Array, onnxruntime-node 1.30 wraps float16 in it, and then fails to read it (Node 24
  // and 26). This global scope is the worker's own; without the class it takes the raw 16 bits, as a binding promises
  // them.
  Reflect.deleteProperty(globalThis, 'Float16Array')
  try {
    return nativeLibrary() ?? publicLibrary()
  } catch (error) {
    // The first line says it all; the rest is a require stack.
    return { missing: textOf(error).replace(/\n[^]*/, '') }
  }
}

function publicLibrary(): Library {
  const { InferenceSession, Tensor } = require('onnxruntime-node') as typeof import('onnxruntime-node')
  return {
    Tensor: Tensor as unknown as Library['Tensor'],
    async open(model, options) {
      const session = await InferenceSession.create(model, options)
      return {
        outputs: session.outputNames,
        run: (feeds) => session.run(feeds as InferenceSession.FeedsType),
        release: () => session.release(),
      }
    },
  }
}

/** The part of onnxruntime-node/dist/binding.d.ts that is used of the native module. */
interface Binding {
  initOrtOnce(logLevel: number, tensor: Library['Tensor'], isMainThread: boolean): void
  readonly InferenceSession: new () => NativeSession
}

interface NativeSession {
  loadModel(buffer: ArrayBuffer, offset: number, bytes: number, options: InferenceSession.SessionOptions): void
  readonly outputMetadata: readonly { readonly name: string }[]
  run(feeds: Tensors, fetches: Readonly<Record<string, null>>, options: object): Tensors
  dispose(): void
}

/**
 * The native module of onnxruntime-node without the twenty modules of JavaScript around it, which check what is checked
 * already and take 10 ms of every start. Undefined for a release whose native module may be another one, and where it
 * cannot be loaded: the public module says why.
 */
function nativeLibrary(): Library | undefined {
  try {
    const manifest = require.resolve('onnxruntime-node/package.json')
    const { version } = require(manifest) as { version: string }
    if (!version.startsWith('1.30.')) return undefined
    const file = join(dirname(manifest), 'bin', 'napi-v6', process.platform, process.arch, 'onnxruntime_binding.node')
    const { initOrtOnce, InferenceSession } = require(file) as Binding
    // Now rather than with the first engine, whose bytes may still be read: it takes 20 ms. 2 is the level of the
    // public module.
    initOrtOnce(2, PlainTensor, false)
    return { Tensor: PlainTensor, open: async (model, options) => openNative(new InferenceSession(), model, options) }
  } catch {
    return undefined
  }
}

function openNative(session: NativeSession, model: Uint8Array, options: InferenceSession.SessionOptions): Session {
  session.loadModel(model.buffer as ArrayBuffer, model.byteOffset, model.byteLength, options)
  const outputs = session.outputMetadata.map(({ name }) => name)
  const fetches = Object.fromEntries(outputs.map((name) => [name, null]))
  return { outputs, run: async (feeds) => session.run(feeds, fetches, {}), release: async () => session.dispose() }
}

// FlatBuffers keep their file identifier behind the first offset (onnxruntime/core/flatbuffers/schema/ort.fbs).
function isOrt(bytes: ArrayBuffer): boolean {
  return bytes.byteLength >= 8 && Buffer.from(bytes, 4, 4).toString('latin1') === 'ORTM'
}

function externalData(
  bytes: ArrayBuffer,
  modelBytes: number,
  { name, footer }: { readonly name: string; readonly footer: number },
): { readonly path: string; readonly data: Uint8Array } {
  return { path: name, data: new Uint8Array(bytes, modelBytes, bytes.byteLength - modelBytes - footer) }
}

function workerTensor(name: string, results: Tensors): WorkerTensor {
  // The native module sets each output by its name, and so makes one that is called __proto__ the prototype.
  const result = name === '__proto__' ? (Object.getPrototypeOf(results) as Tensor | null) : results[name]
  if (!result?.dims) throw new Error(`onnxruntime-node gave no output ${JSON.stringify(name)}`)
  const { type, dims, data } = result
  return { name, dtype: type as DType, dims, data: data as WorkerTensor['data'] }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
