import { loadAddon, type DimBounds, type OpenVinoAddon, type OpenVinoEngine } from '../../native/load-addon.ts'
import { readArtifact } from '../artifact.ts'
import type { DType } from '../dtype.ts'
import { OnnxEngineError, textOf } from '../errors.ts'
import { createInFlight } from '../in-flight.ts'
import type { Binding, Bindings, Requirements, VariantManifest } from '../manifest.ts'
import type { CheckedTensor, InferOptions, OpenOptions, Runner, Session } from '../session.ts'
import { bytesOf, copyTensors, viewOf } from '../tensor-memory.ts'
import { findOpenVino } from './library.ts'

/** Runs blobs with OpenVINO, in its own threads: no worker, and nothing on the event loop but copies of the tensors. */
export const openvinoRunner: Runner<'openvino'> = { refusal, open }

/**
 * OpenVINO as this machine has it. Its devices are not asked for: that loads the plugins of all, and takes longer than
 * an import.
 */
interface Installed {
  readonly addon: OpenVinoAddon
  readonly library: string
  readonly version: string
}

let installed: Promise<Installed | { readonly reason: string }> | undefined

async function refusal({ arch, version }: Requirements['openvino']): Promise<string | undefined> {
  if (arch !== process.arch) return `compiled for ${arch}, this machine is ${process.arch}`
  const found = await theInstalled()
  if ('reason' in found) return found.reason
  if (release(found.version) === release(version)) return undefined
  return `compiled by OpenVINO ${release(version)}, but ${found.library} is ${release(found.version)}`
}

async function theInstalled(): Promise<Installed | { readonly reason: string }> {
  const found = await (installed ??= findInstalled())
  // Looked for again by the next load: the user may have set it up meanwhile.
  if ('reason' in found) installed = undefined
  return found
}

async function findInstalled(): Promise<Installed | { readonly reason: string }> {
  const found = findOpenVino()
  if ('reason' in found) return { reason: `${found.reason}; tried ${found.tried}. ${found.hint}` }
  const loaded = loadAddon('openvino')
  if ('reason' in loaded) return loaded
  const { addon } = loaded
  try {
    return { addon, library: found.file, version: await addon.version(found.file) }
  } catch (error) {
    return { reason: `${found.file} cannot be used: ${textOf(error)}` }
  }
}

// '2026.4.1-22982-e213a147257-releases/2026/4' is release 2026.4.1. OpenVINO itself compares no more than that.
function release(version: string): string {
  return version.split('-', 1)[0] ?? version
}

async function open(
  variant: VariantManifest<'openvino'>,
  file: string,
  bindings: Bindings,
  options: OpenOptions,
): Promise<Session> {
  const { requires } = variant
  const where = `model ${JSON.stringify(options.model)}`
  const found = await theInstalled()
  if ('reason' in found) throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${where}: ${found.reason}`)
  const bytes = await readArtifact(file, variant, options.model)
  const device = requires.device === 'GPU' && options.device !== undefined ? `GPU.${options.device}` : requires.device
  const properties = {
    ...requires.properties,
    ...(options.threads !== undefined && { INFERENCE_NUM_THREADS: String(options.threads) }),
  }
  const names = { inputs: namesOf(bindings.inputs), outputs: namesOf(bindings.outputs) }
  try {
    const engine = await found.addon.load(found.library, new Uint8Array(bytes), { device, properties, ...names })
    checkTypes(engine, bindings)
    return createSession(engine, bindings, where)
  } catch (cause) {
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${where}: ${importFailure(textOf(cause), file)}`, { cause })
  }
}

// OpenVINO compares the machine with what the blob says of itself, and lists both when they differ.
function importFailure(text: string, file: string): string {
  const [, blob, current] = /\bblob:.*isa=(.+)\s+current:.*isa=(.+)/.exec(text) ?? []
  return blob && current
    ? `compiled for machines with ${blob}, but this one has ${current}`
    : `OpenVINO cannot import ${file}: ${text}`
}

// Reading bytes as another dtype would give wrong numbers without an error.
function checkTypes(engine: OpenVinoEngine, bindings: Bindings): void {
  for (const [ports, wanted] of [
    [engine.inputs, bindings.inputs],
    [engine.outputs, bindings.outputs],
  ] as const) {
    for (const [index, { name, dtype }] of wanted.entries()) {
      if (ports[index]?.dtype !== dtype)
        throw new Error(`the engine's '${name}' is ${ports[index]?.dtype}, the model's is ${dtype}`)
    }
  }
}

function namesOf(bindings: readonly Binding[]): string[] {
  return bindings.map(({ name }) => name)
}

function createSession(engine: OpenVinoEngine, bindings: Bindings, where: string): Session {
  const idle = Array.from({ length: engine.requests }, (_, index) => index)
  const waiting: ((request: number) => void)[] = []
  const calls = createInFlight()

  return {
    infer: (inputs, options) => calls.track(infer(inputs, options)),
    async dispose() {
      await calls.settled()
      await engine.close()
    },
  }

  async function infer(inputs: ReadonlyMap<string, CheckedTensor>, { signal, transfer = false }: InferOptions) {
    const free = idle.pop()
    // The caller may change its arrays as soon as this function gives its promise, so a call that has to wait takes a
    // copy along.
    if (free !== undefined) return run(free, inputs, transfer, signal)
    const own = transfer ? inputs : copyTensors(inputs)
    return run(await new Promise<number>((resolve) => waiting.push(resolve)), own, true, signal)
  }

  async function run(
    request: number,
    inputs: ReadonlyMap<string, CheckedTensor>,
    borrow: boolean,
    signal: InferOptions['signal'],
  ) {
    const cancel = () => engine.cancel(request)
    try {
      if (signal?.aborted) throw new OnnxEngineError('ABORTED', `${where}: infer() was aborted by its signal`)
      const result = engine.infer(request, tensorsOf(inputs), borrow)
      signal?.addEventListener('abort', cancel, { once: true })
      const outputs = await result
      return new Map(
        bindings.outputs.map(({ name, dtype }, index): [string, CheckedTensor] => {
          const { buffer, dims } = outputs[index] ?? { buffer: new ArrayBuffer(0), dims: [] }
          return [name, { dtype, dims, data: viewOf(dtype, buffer, 0, buffer.byteLength) }]
        }),
      )
    } catch (cause) {
      if (cause instanceof OnnxEngineError) throw cause
      throw new OnnxEngineError(
        'INFERENCE_FAILED',
        `${where}: OpenVINO failed while running the model: ${textOf(cause)}`,
        { cause },
      )
    } finally {
      signal?.removeEventListener('abort', cancel)
      const next = waiting.shift()
      if (next) next(request)
      else idle.push(request)
    }
  }

  function tensorsOf(inputs: ReadonlyMap<string, CheckedTensor>) {
    return bindings.inputs.map(({ name }, index) => {
      const tensor = inputs.get(name)
      const bounds = engine.inputs[index]?.dims
      if (!tensor || !ArrayBuffer.isView(tensor.data)) throw invalid(name, 'a tensor', 'none')
      if (bounds && !fits(tensor.dims, bounds))
        throw invalid(
          name,
          `dims ${rangeText(bounds)}, as the engine was compiled for`,
          `dims [${tensor.dims.join(',')}]`,
        )
      const lost = valueBeyond32Bits(tensor.dtype, tensor.data)
      if (lost !== undefined)
        throw invalid(
          name,
          `values from ${-(2 ** 31)} to ${2 ** 31 - 1}, since OpenVINO computes integers in 32 bits`,
          String(lost),
        )
      return { bytes: bytesOf(tensor.data), dims: tensor.dims }
    })
  }

  function invalid(input: string, expected: string, received: string): OnnxEngineError {
    return new OnnxEngineError('INPUT_INVALID', `${where}, input ${JSON.stringify(input)}`, { expected, received })
  }
}

// OpenVINO converts int64, uint64 and uint32 to int32 by cutting off bits, and says nothing: 2^40 becomes 0. Seen on
// the CPU with 2026.4.1; refusing costs one pass over inputs that are seldom longer than a list of tokens.
function valueBeyond32Bits(
  dtype: DType,
  { buffer, byteOffset, byteLength }: ArrayBufferView,
): bigint | number | undefined {
  if (dtype !== 'int64' && dtype !== 'uint64' && dtype !== 'uint32') return undefined
  const values = viewOf(dtype, buffer as ArrayBuffer, byteOffset, byteLength) as
    | BigInt64Array
    | BigUint64Array
    | Uint32Array
  for (const value of values) if (value > 2 ** 31 - 1 || value < -(2 ** 31)) return value
  return undefined
}

function fits(dims: readonly number[], { min, max }: DimBounds): boolean {
  return (
    dims.length === min.length &&
    dims.every((dim, axis) => dim >= (min[axis] ?? 0) && (max[axis] === -1 || dim <= (max[axis] ?? 0)))
  )
}

function rangeText({ min, max }: DimBounds): string {
  return `[${min.map((low, axis) => (low === max[axis] ? low : max[axis] === -1 ? '?' : `${low}..${max[axis]}`)).join(',')}]`
}
