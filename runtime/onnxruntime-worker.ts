import { parentPort } from 'node:worker_threads'
import type { InferenceSession, Tensor } from 'onnxruntime-node'
import type { DType } from './dtype.ts'

/** What the main side asks. Engines are numbered by it; every request gets one reply with its `id`. */
export type WorkerRequest =
  | { readonly id: number; readonly kind: 'open'; readonly engine: number; readonly bytes: ArrayBuffer; readonly threads?: number }
  | { readonly id: number; readonly kind: 'run'; readonly engine: number; readonly inputs: readonly WorkerTensor[]; readonly pooled?: ArrayBuffer }
  | { readonly id: number; readonly kind: 'close'; readonly engine: number }

export interface WorkerTensor {
  readonly name: string
  readonly dtype: DType
  readonly dims: readonly number[]
  readonly data: ArrayBufferView | readonly string[]
}

export interface WorkerReply {
  readonly id: number
  readonly outputs?: readonly WorkerTensor[]
  /** The request's buffer on its way back to the pool. */
  readonly pooled?: ArrayBuffer
  /** ONNX Runtime's own text, or why it could not be loaded at all. */
  readonly error?: { readonly message: string; readonly missing?: boolean }
}

type Answer = Omit<WorkerReply, 'id' | 'pooled'>

// Begun before the first request: loading the library takes as long as reading an engine does on the other side.
const library = import('onnxruntime-node').then((module) => ({ module }), (error: unknown) => ({ error: textOf(error) }))
const sessions = new Map<number, InferenceSession>()

const handlers: { readonly [K in WorkerRequest['kind']]: (request: Extract<WorkerRequest, { kind: K }>) => Promise<Answer> } = {
  async open({ engine, bytes, threads }) {
    const loaded = await library
    if ('error' in loaded) return { error: { message: loaded.error, missing: true } }
    sessions.set(engine, await loaded.module.InferenceSession.create(new Uint8Array(bytes), {
      // An .ort engine was finished when it was compiled; a portable one is an ONNX file that is laid out for this CPU now.
      ...(isOrt(bytes) ? { graphOptimizationLevel: 'disabled', extra: { session: { load_model_format: 'ORT' } } } : { graphOptimizationLevel: 'all' }),
      ...(threads !== undefined && { intraOpNumThreads: threads }),
    }))
    return {}
  },

  async run({ engine, inputs }) {
    const loaded = await library
    const session = sessions.get(engine)
    if ('error' in loaded || !session) return { error: { message: 'the engine is not open' } }
    const { Tensor } = loaded.module
    const feeds = Object.fromEntries(inputs.map(({ name, dtype, dims, data }) => [name, new Tensor(dtype as 'float32', data as Float32Array, dims)]))
    return { outputs: Object.entries(await session.run(feeds)).map(workerTensor) }
  },

  async close({ engine }) {
    const session = sessions.get(engine)
    sessions.delete(engine)
    await session?.release()
    return {}
  },
}

parentPort?.on('message', async (request: WorkerRequest) => {
  const handle = handlers[request.kind] as (request: WorkerRequest) => Promise<Answer>
  const answer = await handle(request).catch((error: unknown): Answer => ({ error: { message: textOf(error) } }))
  const pooled = request.kind === 'run' ? request.pooled : undefined
  const moved = (answer.outputs ?? []).flatMap(({ data }) => (ArrayBuffer.isView(data) ? [data.buffer as ArrayBuffer] : []))
  parentPort?.postMessage({ id: request.id, ...answer, ...(pooled && { pooled }) }, pooled ? [...moved, pooled] : moved)
})

// FlatBuffers keep their file identifier behind the first offset (onnxruntime/core/flatbuffers/schema/ort.fbs).
function isOrt(bytes: ArrayBuffer): boolean {
  return bytes.byteLength >= 8 && new TextDecoder('latin1').decode(new Uint8Array(bytes, 4, 4)) === 'ORTM'
}

// Newer Nodes give float16 as Float16Array, which a binding promises as the raw 16 bits.
function workerTensor([name, { type, dims, data }]: [string, Tensor]): WorkerTensor {
  const bits = type === 'float16' && ArrayBuffer.isView(data) ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data
  return { name, dtype: type as DType, dims, data: bits as WorkerTensor['data'] }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
