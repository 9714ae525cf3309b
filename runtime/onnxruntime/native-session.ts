import type { OnnxRuntimeData, OnnxRuntimeEngine, OnnxRuntimeOutput } from '../../native/load-addon.ts'
import { abortedError, onAbort } from '../abort.ts'
import { readArtifact } from '../artifact.ts'
import { checkPortDtype, inferenceError, orClose } from '../engine-tensors.ts'
import { OnnxEngineError, textOf } from '../errors.ts'
import { createInFlight } from '../in-flight.ts'
import type { Bindings, VariantManifest } from '../manifest.ts'
import type { CheckedTensor, InferOptions, OpenOptions, Session } from '../session.ts'
import { createSlots } from '../slots.ts'
import { bytesOf, ownedBytesOf, viewOf } from '../tensor-memory.ts'
import { modelSubject } from '../text.ts'
import type { NativeRuntime } from './choose-runtime.ts'
import { createOutputDims } from './output-dims.ts'
import { giveBack, packInputs, takeInputs, type Packed } from './pack-inputs.ts'

/** An engine file and what is needed to open it. */
export interface Opening {
  readonly variant: VariantManifest<'onnxruntime'>
  readonly file: string
  readonly bindings: Bindings
  readonly options: OpenOptions
}

const product = 'ONNX Runtime'

type Tensors = ReadonlyMap<string, CheckedTensor>

/**
 * Opens an engine in this process. Its file is read into one buffer, verified there, and computed on in place: a
 * mapping would be less memory to read, but whoever truncates or rewrites the file then ends the process (SIGBUS) or
 * changes weights that were verified before. Throws ARTIFACT_INVALID and INFERENCE_FAILED.
 */
export async function openNativeSession(
  { addon, library }: NativeRuntime,
  { variant, file, bindings: declared, options }: Opening,
): Promise<Session> {
  // The defaults of optional inputs are compiled in.
  const bindings = { ...declared, inputs: declared.inputs.filter(({ optional }) => !optional) }
  const subject = modelSubject(options.model)
  const bytes = new Uint8Array(await readArtifact(file, variant, options.model))
  const settings = {
    inputs: bindings.inputs.map(({ name }) => name),
    outputs: bindings.outputs.map(({ name }) => name),
    threads: options.threads ?? null,
    runs: options.workers ?? null,
  }
  try {
    const engine = await addon.load(library, bytes, settings)
    return await orClose(engine, () => createSession(engine, bindings, subject))
  } catch (cause) {
    const text = `${subject}: ONNX Runtime could not open ${file}: ${textOf(cause)}`
    throw new OnnxEngineError('INFERENCE_FAILED', text, { cause })
  }
}

function createSession(engine: OnnxRuntimeEngine, bindings: Bindings, subject: string): Session {
  bindings.inputs.forEach((binding, index) => checkPortDtype(binding, engine.inputs[index]))
  bindings.outputs.forEach((binding, index) => checkPortDtype(binding, engine.outputs[index]))
  // Twice as many calls as run at once: the next one waits in the addon, and starts without the event loop. The others
  // wait here.
  const slots = createSlots(engine.runs * 2)
  const conversion = createConversion(bindings)
  const calls = createInFlight()

  return {
    kind: 'native',
    infer: (inputs, options) => calls.track(infer(inputs, options)),
    inferSync(inputs) {
      const call = conversion.argumentsOf(inputs, ownedBytesOf)
      try {
        return conversion.read(call, engine.inferSync(call.data, call.dims, call.outputs))
      } catch (cause) {
        throw inferenceError(subject, product, cause)
      }
    },
    async dispose() {
      await calls.settled()
      await engine.close()
    },
  }

  async function infer(inputs: Tensors, { signal, transfer = false }: InferOptions): Promise<Tensors> {
    // Before anything is waited for: the caller may change its arrays once this has returned.
    const packed = transfer ? takeInputs(inputs) : packInputs(inputs)
    const slot = slots.takeIdle() ?? (await slots.take())
    try {
      if (signal?.aborted) throw abortedError(subject)
      return await run(packed, signal)
    } finally {
      slots.give(slot)
      giveBack(packed.pooled)
    }
  }

  async function run({ inputs }: Packed, signal: InferOptions['signal']): Promise<Tensors> {
    const call = conversion.argumentsOf(inputs, bytesOf)
    let forget: (() => void) | undefined
    try {
      const { id, outputs } = engine.infer(call.data, call.dims, call.outputs)
      forget = signal && onAbort(signal, () => engine.cancel(id))
      return conversion.read(call, await outputs)
    } catch (cause) {
      throw signal?.aborted ? abortedError(subject, cause) : inferenceError(subject, product, cause)
    } finally {
      forget?.()
    }
  }
}

/** What the addon takes for a call: the inputs in their order, and the dims of outputs that are known before. */
interface Arguments {
  readonly data: readonly OnnxRuntimeData[]
  readonly dims: readonly (readonly number[])[]
  readonly outputs: readonly (readonly number[] | null)[]
}

interface Conversion {
  /** `bytes` gives the bytes of an array, in place or not. */
  argumentsOf(inputs: Tensors, bytes: (view: ArrayBufferView) => Uint8Array): Arguments
  /** The outputs by name. Learns from their dims. */
  read(call: Arguments, outputs: readonly OnnxRuntimeOutput[]): Tensors
}

function createConversion(bindings: Bindings): Conversion {
  const expected = createOutputDims(bindings)
  return {
    argumentsOf(inputs, bytes) {
      const tensors = bindings.inputs.map(({ name }) => inputs.get(name) ?? { data: [], dims: [] })
      const data = tensors.map(({ data }) => (ArrayBuffer.isView(data) ? bytes(data) : data))
      const dims = tensors.map((tensor) => tensor.dims)
      return { data, dims, outputs: expected.expect(dims) }
    },
    read({ dims }, outputs) {
      const actual = outputs.map((output) => output.dims)
      expected.learn(dims, actual)
      return new Map(
        bindings.outputs.map(({ name, dtype }, index): [string, CheckedTensor] => {
          const output = outputs[index] ?? { strings: [], dims: [] }
          const data = 'strings' in output ? output.strings : viewOf(dtype, output.buffer, 0, output.buffer.byteLength)
          return [name, { dtype, dims: output.dims, data }]
        }),
      )
    },
  }
}
