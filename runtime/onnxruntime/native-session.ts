import type { OnnxRuntimeCall, OnnxRuntimeEngine, OnnxRuntimeOutput } from '../../native/load-addon.ts'
import { abortedError, onAbort } from '../abort.ts'
import { elementCount, type DType } from '../dtype.ts'
import { checkPortDtype, inferenceError, orClose } from '../engine-tensors.ts'
import { OnnxEngineError, textOf } from '../errors.ts'
import { createInFlight } from '../in-flight.ts'
import { inputsOfEngines } from '../input-defaults.ts'
import type { Bindings } from '../manifest.ts'
import type { CheckedTensor, EngineFile, InferOptions, OpenOptions, Session } from '../session.ts'
import { createSlots } from '../slots.ts'
import { arrayOf, unsharedViewOf, viewOf } from '../tensor-memory.ts'
import { modelSubject } from '../text.ts'
import type { NativeRuntime } from './choose-runtime.ts'
import { engineParts, weightsName } from './large-engine.ts'
import { createOutputDims } from './output-dims.ts'
import { giveBack, packInputs, takeInputs, type Packed } from './pack-inputs.ts'

/** An engine file and what is needed to open it. */
export interface Opening {
  readonly engine: EngineFile
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
  { engine: file, bindings: declared, options }: Opening,
): Promise<Session> {
  const bindings = { ...declared, inputs: inputsOfEngines(declared.inputs) }
  const subject = modelSubject(options.model)
  const { model, weights } = engineParts(await file.read())
  const settings = {
    inputs: bindings.inputs.map(({ name }) => name),
    outputs: bindings.outputs.map(({ name }) => name),
    threads: options.threads ?? null,
    runs: options.workers ?? null,
    weights,
    weightsName,
  }
  try {
    const engine = await addon.load(library, model, settings)
    return await orClose(engine, () => createSession(engine, bindings, subject))
  } catch (cause) {
    const text = `${subject}: ONNX Runtime could not open ${file.path}: ${textOf(cause)}`
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
    optionalInputs: 'filled',
    infer: (inputs, options) => calls.track(infer(inputs, options)),
    inferSync(inputs) {
      try {
        const call = conversion.callOf(inputs, unsharedViewOf)
        return conversion.read(call, engine.inferSync(...call))
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
    let forget: (() => void) | undefined
    try {
      // The inputs are in buffers of our own.
      const call = conversion.callOf(inputs, (view) => view)
      const begun = engine.infer(...call)
      if ('id' in begun && signal) forget = onAbort(signal, () => engine.cancel(begun.id))
      return conversion.read(call, await begun.outputs)
    } catch (cause) {
      throw signal?.aborted ? abortedError(subject, cause) : inferenceError(subject, product, cause)
    } finally {
      forget?.()
    }
  }
}

interface Conversion {
  /** `view` gives the array that the addon may read, in place or not. Throws a RangeError if there is no memory. */
  callOf(inputs: Tensors, view: (array: ArrayBufferView) => ArrayBufferView): OnnxRuntimeCall
  /** The outputs by name. Learns from their dims. */
  read(call: OnnxRuntimeCall, outputs: readonly OnnxRuntimeOutput[]): Tensors
}

function createConversion({ inputs: inputBindings, outputs: outputBindings }: Bindings): Conversion {
  const expected = createOutputDims({ inputs: inputBindings, outputs: outputBindings })
  return {
    callOf(inputs, view) {
      const tensors = inputBindings.map(({ name }) => inputs.get(name) ?? { data: [], dims: [] })
      const data = tensors.map(({ data }) => (ArrayBuffer.isView(data) ? view(data) : data))
      const dims = tensors.map((tensor) => tensor.dims)
      const targetDims = expected.expect(dims)
      const targets = outputBindings.map(({ dtype }, index) => targetOf(dtype, targetDims[index]))
      return [data, dims, targets, targetDims]
    },
    read([, dims, targets, targetDims], outputs) {
      const tensors = outputBindings.map(({ dtype }, index): CheckedTensor => {
        const output = outputs[index]
        if (!output) return { dtype, dims: targetDims[index] ?? [], data: targets[index] ?? [] }
        if ('strings' in output) return { dtype, dims: output.dims, data: output.strings }
        return { dtype, dims: output.dims, data: viewOf(dtype, output.buffer, 0, output.buffer.byteLength) }
      })
      if (outputs.some((output) => output !== null))
        expected.learn(
          dims,
          tensors.map((tensor) => tensor.dims),
        )
      return new Map(outputBindings.map(({ name }, index) => [name, tensors[index] as CheckedTensor]))
    },
  }
}

function targetOf(dtype: DType, dims: readonly number[] | null | undefined): ArrayBufferView | null {
  return dims && dtype !== 'string' ? arrayOf(dtype, elementCount(dims)) : null
}
