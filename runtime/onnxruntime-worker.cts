// CommonJS, unlike every other module: a worker is up a third sooner without the loader of ES modules.
import type { InferenceSession, Tensor } from 'onnxruntime-node'
import type { DType } from './dtype.ts'
import type { WorkerReply, WorkerRequest, WorkerTensor } from './worker.ts'

const { parentPort } = require('node:worker_threads') as typeof import('node:worker_threads')

type Answer = Omit<WorkerReply, 'id' | 'pooled'>

interface Engine {
  readonly session: InferenceSession
  /** The session computes on these bytes themselves, so they live as long as it. */
  readonly bytes: ArrayBuffer
}

// Loaded before the first request arrives: it takes as long as reading an engine does on the other side.
const library = loadLibrary()
const engines = new Map<number, Engine>()

const handlers: { readonly [K in WorkerRequest['kind']]: (request: Extract<WorkerRequest, { kind: K }>) => Promise<Answer> } = {
  async open({ engine, bytes, threads }) {
    if ('missing' in library) return { error: { message: library.missing, missing: true } }
    const options = { ...quiet, ...(isOrt(bytes) ? finished : portable), ...(threads !== undefined && { intraOpNumThreads: threads }) }
    engines.set(engine, { session: await library.InferenceSession.create(new Uint8Array(bytes), options), bytes })
    return {}
  },

  async run({ engine, inputs }) {
    const session = engines.get(engine)?.session
    if ('missing' in library || !session) return { error: { message: 'the engine is not open' } }
    const { Tensor } = library
    const feeds = Object.fromEntries(inputs.map(({ name, dtype, dims, data }) => [name, new Tensor(dtype as 'float32', data as Float32Array, dims)]))
    return { outputs: Object.entries(await session.run(feeds)).map(workerTensor) }
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
  extra: { session: { load_model_format: 'ORT', use_ort_model_bytes_directly: '1', use_ort_model_bytes_for_initializers: '1' } },
}

// A portable engine is an ONNX file, which is laid out for this CPU now.
const portable: InferenceSession.SessionOptions = { graphOptimizationLevel: 'all' }

parentPort?.on('message', async (request: WorkerRequest) => {
  const handle = handlers[request.kind] as (request: WorkerRequest) => Promise<Answer>
  const answer = await handle(request).catch((error: unknown): Answer => ({ error: { message: textOf(error) } }))
  const pooled = request.kind === 'run' ? request.pooled : undefined
  const moved = (answer.outputs ?? []).flatMap(({ data }) => (ArrayBuffer.isView(data) ? [data.buffer as ArrayBuffer] : []))
  parentPort?.postMessage({ id: request.id, ...answer, ...(pooled && { pooled }) }, pooled ? [...moved, pooled] : moved)
})

function loadLibrary(): typeof import('onnxruntime-node') | { readonly missing: string } {
  // Where the platform has Float16Array, onnxruntime-node 1.30 wraps float16 in it, and then fails to read it (Node 24 and 26). This
  // global scope is the worker's own; without the class it takes the raw 16 bits, as a binding promises them.
  Reflect.deleteProperty(globalThis, 'Float16Array')
  try {
    return require('onnxruntime-node') as typeof import('onnxruntime-node')
  } catch (error) {
    // The first line says it all; the rest is a require stack.
    return { missing: textOf(error).replace(/\n[^]*/, '') }
  }
}

// FlatBuffers keep their file identifier behind the first offset (onnxruntime/core/flatbuffers/schema/ort.fbs).
function isOrt(bytes: ArrayBuffer): boolean {
  return bytes.byteLength >= 8 && Buffer.from(bytes, 4, 4).toString('latin1') === 'ORTM'
}

function workerTensor([name, { type, dims, data }]: [string, Tensor]): WorkerTensor {
  return { name, dtype: type as DType, dims, data: data as WorkerTensor['data'] }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
