import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { readArtifact } from '../artifact.ts'
import { OnnxEngineError } from '../errors.ts'
import type { Bindings, Requirements, VariantManifest } from '../manifest.ts'
import type { CheckedTensor, InferOptions, OpenOptions, Runner, Session } from '../session.ts'
import { bytesOf, viewOf } from '../tensor-memory.ts'
import { createBufferPool } from './buffer-pool.ts'
import { blockedLayout, saturatesInt8 } from './cpu.ts'
import { createEngineWorker, type EngineWorker, type Job, type WorkerReply, type WorkerTensor } from './worker.ts'

/**
 * Runs `.ort` engines with onnxruntime-node, in a worker: its `run()` would hold the event loop for as long as it
 * takes.
 */
export const onnxruntimeRunner: Runner<'onnxruntime'> = { refusal, open }

const require = createRequire(import.meta.url)

/**
 * Never called: tracers of deployments (nft and its kin) follow a literal require, and no worker, to the worker and
 * onnxruntime-node.
 */
export const traced = (): unknown => require('./worker-main.cjs')

// Views start at multiples of this, which is enough for every dtype and for vector loads.
const alignment = 64

const pool = createBufferPool(64 << 20)
let sharedWorker: EngineWorker | undefined
let lastEngine = 0

async function refusal({ version, arch, layout, vnni }: Requirements['onnxruntime']): Promise<string | undefined> {
  if (arch !== 'any' && arch !== process.arch) return `compiled for ${arch}, this machine is ${process.arch}`
  if (layout !== 0 && layout !== blockedLayout())
    return `weights laid out for CPUs ${layout === 16 ? 'with' : 'without'} AVX-512, which this one is not`
  if (vnni && saturatesInt8())
    return 'int8 for CPUs with VNNI, which this one is not known to have: its sums would overflow'
  const installed = installedVersion()
  if (installed === undefined) return 'onnxruntime-node is not installed: add it to the dependencies of the app'
  const [major = 0, minor = 0] = numbers(installed)
  const [wantedMajor = 0, wantedMinor = 0] = numbers(version)
  if (major === wantedMajor && (layout === 0 ? minor >= wantedMinor : minor === wantedMinor)) return undefined
  return `compiled by ONNX Runtime ${version}, but onnxruntime-node ${installed} is installed: install ${version} or compile again`
}

function numbers(version: string): number[] {
  return version.split('.').map(Number)
}

// Sooner done than waited for: the worker starts after it.
function installedVersion(): string | undefined {
  try {
    const { version } = JSON.parse(readFileSync(require.resolve('onnxruntime-node/package.json'), 'utf8')) as {
      version: string
    }
    return version
  } catch {
    return undefined
  }
}

async function open(
  variant: VariantManifest<'onnxruntime'>,
  file: string,
  _bindings: Bindings,
  options: OpenOptions,
): Promise<Session> {
  sharedWorker ??= createEngineWorker()
  const own = options.workers === undefined ? [] : Array.from({ length: options.workers }, createEngineWorker)
  const engines = (own.length > 0 ? own : [sharedWorker]).map((worker) => createEngine(worker, variant, file, options))
  const stopOwn = () => Promise.all(own.map((worker) => worker.stop()))
  const opening = engines.map((engine) => engine.open())
  try {
    await Promise.all(opening)
  } catch (error) {
    // A worker that is ended inside native code takes the process along.
    await Promise.allSettled(opening)
    await stopOwn()
    throw error
  }
  return {
    infer(inputs, options) {
      return engines
        .reduce((least, engine) => (engine.pending() < least.pending() ? engine : least))
        .infer(inputs, options)
    },
    async dispose() {
      await Promise.all(engines.map((engine) => engine.close()))
      await stopOwn()
    },
  }
}

/** One engine in one worker. */
interface Engine extends Pick<Session, 'infer'> {
  open(): Promise<void>
  close(): Promise<void>
  pending(): number
}

function createEngine(
  worker: EngineWorker,
  variant: VariantManifest<'onnxruntime'>,
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
    const reply = await worker.send({ where, request: { kind: 'open', engine, bytes, threads }, transfer: [bytes] })
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
    const packed = owned ? takeAll(inputs) : pack(inputs)
    return run({
      where,
      request: { kind: 'run', engine, inputs: packed.tensors, pooled: packed.pooled },
      transfer: packed.transfer,
      signal,
    })
  }

  async function run(job: Job): Promise<ReadonlyMap<string, CheckedTensor>> {
    if (heldBy !== worker.generation) await open()
    const reply = await worker.send(job)
    if (!reply) throw new OnnxEngineError('ABORTED', `${where}: infer() was aborted by its signal`)
    if (reply.pooled) pool.give(reply.pooled)
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

interface Packed {
  readonly tensors: readonly WorkerTensor[]
  readonly transfer: readonly ArrayBuffer[]
  readonly pooled?: ArrayBuffer
}

// All inputs of a call lie in one pooled buffer: one transfer each way, whatever their number.
function pack(inputs: ReadonlyMap<string, CheckedTensor>): Packed {
  let bytes = 0
  const offsets = Array.from(inputs.values(), ({ data }) => {
    const offset = bytes
    if (ArrayBuffer.isView(data)) bytes += Math.ceil(data.byteLength / alignment) * alignment
    return offset
  })
  const pooled = pool.take(bytes)
  const tensors = Array.from(inputs, ([name, { dtype, dims, data }], index): WorkerTensor => {
    if (!ArrayBuffer.isView(data)) return { name, dtype, dims, data: data.slice() }
    const offset = offsets[index] ?? 0
    new Uint8Array(pooled, offset).set(bytesOf(data))
    return { name, dtype, dims, data: viewOf(dtype, pooled, offset, data.byteLength) }
  })
  return { tensors, transfer: [pooled], pooled }
}

function takeAll(inputs: ReadonlyMap<string, CheckedTensor>): Packed {
  const transfer = new Set<ArrayBuffer>()
  const tensors = Array.from(inputs, ([name, { dtype, dims, data }]): WorkerTensor => {
    if (!ArrayBuffer.isView(data)) return { name, dtype, dims, data }
    const buffer = data.buffer as ArrayBuffer
    transfer.add(buffer)
    return { name, dtype, dims, data: viewOf(dtype, buffer, data.byteOffset, data.byteLength) }
  })
  return { tensors, transfer: [...transfer] }
}
