import { createRequire } from 'node:module'
import { readArtifact } from '../artifact.ts'
import { OnnxEngineError } from '../errors.ts'
import type { VariantManifest } from '../manifest.ts'
import type { CheckedTensor, InferOptions, OpenOptions, Session } from '../session.ts'
import { footerBytes, modelBytesOf, weightsName } from './large-engine.ts'
import { giveBack, packInputs, takeInputs } from './pack-inputs.ts'
import { createEngineWorker, type EngineWorker, type Job, type WorkerReply, type WorkerTensor } from './worker.ts'

const require = createRequire(import.meta.url)

/**
 * Never called: tracers of deployments (nft and similar) follow a literal require, and no worker, to the worker and
 * onnxruntime-node.
 */
export const traced = (): unknown => require('./worker-main.cjs')

let sharedWorker: EngineWorker | undefined
let lastEngine = 0

// A model that is dropped without dispose() leaves its engines to the worker, and workers of its own to nobody.
const dropped = new FinalizationRegistry<() => Promise<void>>((close) => void close().catch(() => undefined))

/** What onnxruntime-node runs. */
export type WorkerVariant = VariantManifest<'onnxruntime'> | VariantManifest<'webgpu'>

/**
 * Opens an engine with onnxruntime-node, in a worker: its `run()` would hold the event loop for as long as it takes.
 * Throws ARTIFACT_INVALID, BACKEND_UNAVAILABLE and INFERENCE_FAILED.
 */
export async function openWorkerSession(variant: WorkerVariant, file: string, options: OpenOptions): Promise<Session> {
  sharedWorker ??= createEngineWorker()
  const own = options.workers === undefined ? [] : Array.from({ length: options.workers }, createEngineWorker)
  const engines = (own.length > 0 ? own : [sharedWorker]).map((worker) => createEngine(worker, variant, file, options))
  const opening = engines.map((engine) => engine.open())
  try {
    await Promise.all(opening)
  } catch (error) {
    // A worker that is ended inside native code takes the process along.
    await Promise.allSettled(opening)
    await stopAll(own)
    throw error
  }
  const close = closerOf(engines, own)
  const session = sessionOf(engines, close)
  dropped.register(session, close, session)
  return session
}

function sessionOf(engines: readonly Engine[], close: () => Promise<void>): Session {
  const session: Session = {
    kind: 'worker',
    optionalInputs: 'filled',
    infer(inputs, options) {
      return engines
        .reduce((least, engine) => (engine.pending() < least.pending() ? engine : least))
        .infer(inputs, options)
    },
    async dispose() {
      dropped.unregister(session)
      await close()
    },
  }
  return session
}

// A function of its own: a closure next to the session would keep it from being dropped.
function closerOf(engines: readonly Engine[], own: readonly EngineWorker[]): () => Promise<void> {
  return async () => {
    await Promise.all(engines.map((engine) => engine.close()))
    await stopAll(own)
  }
}

async function stopAll(workers: readonly EngineWorker[]): Promise<void> {
  await Promise.all(workers.map((worker) => worker.stop()))
}

/** One engine in one worker. */
interface Engine extends Pick<Session, 'infer'> {
  open(): Promise<void>
  close(): Promise<void>
  pending(): number
}

function createEngine(
  worker: EngineWorker,
  variant: WorkerVariant,
  file: string,
  { model, threads }: OpenOptions,
): Engine {
  const engine = ++lastEngine
  const where = `model ${JSON.stringify(model)}`
  // The worker's generation that holds the engine: after a crash it is opened again.
  let heldBy: number | undefined
  let opening: Promise<void> | undefined
  return { open, close, infer, pending: () => worker.pending }

  function open(): Promise<void> {
    opening ??= reopen().finally(() => {
      opening = undefined
    })
    return opening
  }

  async function reopen(): Promise<void> {
    // The worker starts while the file is read and verified.
    worker.start()
    const bytes = await readArtifact(file, variant, model)
    const modelBytes = modelBytesOf(bytes)
    const weights = { name: weightsName, footer: footerBytes }
    const provider = variant.backend === 'webgpu' ? variant.backend : undefined
    const request = { kind: 'open', engine, bytes, modelBytes, weights, threads, provider } as const
    const reply = await worker.send({ where, request, transfer: [bytes] })
    if (reply?.error?.missing) {
      const { foreignNote } = await import('../../native/platform.ts')
      throw new OnnxEngineError(
        'BACKEND_UNAVAILABLE',
        `onnxruntime-node could not be loaded: ${reply.error.message}${foreignNote(reply.error.message)}`,
      )
    }
    if (reply?.error) throw failed(`${where}: ONNX Runtime could not open ${file}`, reply)
    heldBy = worker.generation
  }

  async function infer(inputs: ReadonlyMap<string, CheckedTensor>, { signal, transfer: owned }: InferOptions) {
    refuseNul(where, inputs)
    const packed = owned ? takeInputs(inputs) : packInputs(inputs)
    const tensors = Array.from(packed.inputs, ([name, tensor]): WorkerTensor => ({ name, ...tensor }))
    return run({
      where,
      request: { kind: 'run', engine, inputs: tensors, pooled: packed.pooled },
      transfer: packed.buffers,
      signal,
    })
  }

  async function run(job: Job): Promise<ReadonlyMap<string, CheckedTensor>> {
    if (heldBy !== worker.generation) await open()
    const reply = await worker.send(job)
    if (!reply) throw new OnnxEngineError('ABORTED', `${where}: infer() was aborted by its signal`)
    giveBack(reply.pooled)
    if (!reply.outputs) throw failed(`${where}: ONNX Runtime failed while running the model`, reply)
    return new Map(reply.outputs.map(({ name, ...tensor }) => [name, tensor]))
  }

  async function close(): Promise<void> {
    // A worker that dies meanwhile takes the engine with it, which is what was asked for.
    if (heldBy === worker.generation)
      await worker.send({ where, request: { kind: 'close', engine }, transfer: [] }).catch(() => undefined)
    heldBy = undefined
  }
}

// onnxruntime-node would cut such a string at its NUL and compute on the rest.
function refuseNul(where: string, inputs: ReadonlyMap<string, CheckedTensor>): void {
  for (const [name, { data }] of inputs) {
    const index = ArrayBuffer.isView(data) ? -1 : data.findIndex((text) => text.includes('\0'))
    if (index < 0) continue
    const expected = 'strings without NUL characters, which ONNX Runtime for Node cannot carry'
    throw new OnnxEngineError('INPUT_INVALID', `${where}, input ${JSON.stringify(name)}`, {
      expected,
      received: `one at index ${index}`,
    })
  }
}

function failed(where: string, reply: WorkerReply): OnnxEngineError {
  return new OnnxEngineError('INFERENCE_FAILED', `${where}: ${reply.error?.message ?? 'no outputs'}`)
}
