import { OnnxEngineError } from '../errors.ts'
import type { Bindings, VariantManifest } from '../manifest.ts'
import type { CheckedTensor, InferOptions, Session } from '../session.ts'
import { bytesOf, viewOf } from '../tensor-memory.ts'
import { modelSubject } from '../text.ts'
import { zeroInputs } from '../zero-inputs.ts'
import type { EngineWorker, RunningWorker } from './engine-worker.ts'
import { fetchFile } from './fetch-file.ts'
import type { WebFailure, WebReply, WebTensor } from './protocol.ts'

export type WebVariant = VariantManifest<'wasm'> | VariantManifest<'webgpu'>

/** An engine to open in the worker of a page. */
export interface WebOpening {
  readonly model: string
  readonly variant: WebVariant
  readonly bindings: Bindings
  readonly worker: EngineWorker
  /** Bytes of the engine and of the library's WebAssembly that have arrived. */
  readonly onBytes: { engine(received: number): void; wasm(received: number): void }
}

let lastEngine = 0

// A model that is dropped without dispose() leaves its engine to the worker.
const dropped = new FinalizationRegistry<() => Promise<void>>((close) => void close().catch(() => undefined))

/** Opens an engine in the worker of the page. Throws ARTIFACT_INVALID, BACKEND_UNAVAILABLE or INFERENCE_FAILED. */
export async function openWebSession(opening: WebOpening): Promise<Session> {
  const engine = createEngine(opening)
  await engine.open()
  const session: Session = {
    kind: 'worker',
    optionalInputs: 'filled',
    infer: engine.infer,
    async dispose() {
      dropped.unregister(session)
      await engine.close()
    },
  }
  dropped.register(session, engine.close, session)
  return session
}

interface Engine extends Pick<Session, 'infer'> {
  open(): Promise<RunningWorker>
  close(): Promise<void>
}

function createEngine(request: WebOpening): Engine {
  const { model, variant, bindings, worker, onBytes } = request
  const engine = ++lastEngine
  const subject = modelSubject(model)
  // The worker that holds the engine: in a new one it is opened again.
  let holder: RunningWorker | undefined
  let opening: Promise<RunningWorker> | undefined
  return { open, infer, close }

  function open(): Promise<RunningWorker> {
    opening ??= reopen().finally(() => {
      opening = undefined
    })
    return opening
  }

  async function reopen(): Promise<RunningWorker> {
    const { backend, engine: precision } = variant
    const file = { ...variant, file: variant.file }
    // At once: neither waits for the other.
    const [running, bytes] = await Promise.all([
      worker.start(onBytes.wasm),
      fetchFile(file, `${subject}, engine of ${backend} ${precision}`, onBytes.engine),
    ])
    const zeros = backend === 'webgpu' ? zeroInputs(bindings) : undefined
    const warmUp = zeros && webTensors(zeros, true)
    const reply = await running.send({ kind: 'open', engine, opening: { backend, engine: precision, bytes, warmUp } }, [
      bytes,
    ])
    if (reply.error) throw failed(running, `${subject}: ${backend} could not open the engine`, reply.error)
    holder = running
    return running
  }

  async function infer(inputs: ReadonlyMap<string, CheckedTensor>, { signal, transfer: isOwn }: InferOptions) {
    const tensors = webTensors(inputs, isOwn === true)
    const run = async (): Promise<WebReply> => {
      const running = holder?.ended === false ? holder : await open()
      // A GPU may be lost: then the inputs are needed once more.
      const moved = variant.backend === 'webgpu' ? [] : buffersOf(tensors)
      const reply = await running.send(
        { kind: 'run', engine, inputs: tensors },
        moved,
        signal as AbortSignal | undefined,
      )
      if (reply.error?.kind === 'lost') running.end(lostError(subject, reply.error))
      return reply
    }
    const first = await run()
    const reply = first.error?.kind === 'lost' ? await run() : first
    if (reply.cancelled) throw new OnnxEngineError('ABORTED', `${subject}: infer() was aborted by its signal`)
    if (reply.error && holder)
      throw failed(holder, `${subject}: ${variant.backend} failed while running the model`, reply.error)
    return new Map((reply.outputs ?? []).map(({ name, ...tensor }): [string, CheckedTensor] => [name, tensor]))
  }

  async function close(): Promise<void> {
    if (holder?.ended === false) await holder.send({ kind: 'close', engine }, []).catch(() => undefined)
    holder = undefined
  }
}

/** The inputs in arrays of their own, unless they are ours already. */
function webTensors(inputs: ReadonlyMap<string, CheckedTensor>, isOwn: boolean): readonly WebTensor[] {
  return Array.from(inputs, ([name, { dtype, dims, data }]): WebTensor => {
    if (!ArrayBuffer.isView(data)) return { name, dtype, dims, data: data.slice() }
    const { buffer, byteOffset, byteLength } = isOwn ? data : bytesOf(data).slice()
    return { name, dtype, dims, data: viewOf(dtype, buffer as ArrayBuffer, byteOffset, byteLength) }
  })
}

function buffersOf(tensors: readonly WebTensor[]): readonly ArrayBuffer[] {
  const views = tensors.flatMap(({ data }) => (ArrayBuffer.isView(data) ? [data] : []))
  return [...new Set(views.map(({ buffer }) => buffer as ArrayBuffer))]
}

function failed(running: RunningWorker, subject: string, { message, kind }: WebFailure): OnnxEngineError {
  const isMemory = /out of memory|bad_alloc|allocation failed|enlarge memory|integer overflow/i.test(message)
  const hint = isMemory
    ? 'WebAssembly has at most 4 GB: dispose of models that are not needed, or use smaller inputs.'
    : undefined
  const error = new OnnxEngineError('INFERENCE_FAILED', `${subject}: ${message}`, hint === undefined ? {} : { hint })
  if (kind === 'dead' || kind === 'lost') running.end(error)
  return error
}

function lostError(subject: string, { message }: WebFailure): OnnxEngineError {
  return new OnnxEngineError('WORKER_CRASHED', `${subject}: the GPU was lost: ${message}`, {
    hint: 'The next call starts a new worker, on a new device.',
  })
}
