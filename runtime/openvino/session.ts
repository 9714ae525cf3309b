import type { DimBounds, OpenVinoEngine } from '../../native/load-addon.ts'
import { abortedError, onAbort } from '../abort.ts'
import type { DType } from '../dtype.ts'
import { checkPortDtype, engineInput, inferenceError, inputSubject, outputTensors } from '../engine-tensors.ts'
import { OnnxEngineError } from '../errors.ts'
import { createInFlight } from '../in-flight.ts'
import { inputsOfEngines } from '../input-defaults.ts'
import type { Bindings } from '../manifest.ts'
import type { CheckedTensor, InferOptions, Session } from '../session.ts'
import { createSlots } from '../slots.ts'
import { copyTensors, viewOf } from '../tensor-memory.ts'
import { rangeText } from '../text.ts'

type Tensors = ReadonlyMap<string, CheckedTensor>

/** One call on its way to an infer request. */
interface Call {
  readonly inputs: Tensors
  /** The engine reads the inputs in place. */
  readonly borrow: boolean
  readonly signal: InferOptions['signal']
}

/**
 * Runs inferences on an imported blob. Throws a plain Error for an engine whose inputs and outputs are not those of the
 * model.
 */
export function createSession(engine: OpenVinoEngine, bindings: Bindings, subject: string): Session {
  const ports = portsOf(bindings)
  ports.inputs.forEach((binding, index) => checkPortDtype(binding, engine.inputs[index]))
  bindings.outputs.forEach((binding, index) => checkPortDtype(binding, engine.outputs[index]))
  const requests = createSlots(engine.requests)
  const calls = createInFlight()

  return {
    kind: 'native',
    optionalInputs: 'filled',
    infer: (inputs, options) => calls.track(infer(inputs, options)),
    async dispose() {
      await calls.settled()
      await engine.close()
    },
  }

  async function infer(inputs: Tensors, { signal, transfer: owned = false }: InferOptions): Promise<Tensors> {
    const idle = requests.takeIdle()
    if (idle !== undefined) return run(idle, { inputs, borrow: owned, signal })
    // The caller may change its arrays as soon as this function has returned its promise, so a call that has to wait
    // takes a copy along.
    const own = owned ? inputs : copyTensors(inputs)
    return run(await requests.take(), { inputs: own, borrow: true, signal })
  }

  async function run(request: number, { inputs, borrow, signal }: Call): Promise<Tensors> {
    let stopListening: (() => void) | undefined
    try {
      if (signal?.aborted) throw abortedError(subject)
      const outputs = engine.infer(request, engineInputs(inputs), borrow)
      stopListening = signal && onAbort(signal, () => engine.cancel(request))
      return outputTensors(bindings.outputs, await outputs)
    } catch (cause) {
      if (cause instanceof OnnxEngineError) throw cause
      throw inferenceError(subject, 'OpenVINO', cause)
    } finally {
      stopListening?.()
      requests.give(request)
    }
  }

  function engineInputs(inputs: Tensors) {
    return ports.inputs.map(({ name, dtype }, index) => {
      const input = engineInput(inputs.get(name), inputSubject(subject, name))
      const bounds = engine.inputs[index]?.dims
      if (bounds && !isWithin(input.dims, bounds))
        throw new OnnxEngineError('INPUT_INVALID', inputSubject(subject, name), {
          expected: `dims ${rangeText(bounds.min, bounds.max, -1)}, as the engine was compiled for`,
          received: `dims [${input.dims.join(',')}]`,
        })
      const tooLarge = valueBeyond32Bits(dtype, input.bytes)
      if (tooLarge !== undefined)
        throw new OnnxEngineError('INPUT_INVALID', inputSubject(subject, name), {
          expected: `values from ${-(2 ** 31)} to ${2 ** 31 - 1}, because OpenVINO computes integers in 32 bits`,
          received: String(tooLarge),
        })
      return input
    })
  }
}

/** The bindings that an engine of OpenVINO has. */
export function portsOf({ inputs, outputs }: Bindings): Bindings {
  return { inputs: inputsOfEngines(inputs), outputs }
}

// OpenVINO converts int64, uint64 and uint32 to int32 by cutting off bits, without an error: 2^40 becomes 0. Seen on
// the CPU with 2026.4.1. Refusing costs one pass over inputs that are seldom longer than a list of tokens.
function valueBeyond32Bits(dtype: DType, { buffer, byteOffset, byteLength }: Uint8Array): bigint | number | undefined {
  if (dtype !== 'int64' && dtype !== 'uint64' && dtype !== 'uint32') return undefined
  const values = viewOf(dtype, buffer as ArrayBuffer, byteOffset, byteLength) as
    | BigInt64Array
    | BigUint64Array
    | Uint32Array
  for (const value of values) if (value > 2 ** 31 - 1 || value < -(2 ** 31)) return value
  return undefined
}

function isWithin(dims: readonly number[], { min, max }: DimBounds): boolean {
  return (
    dims.length === min.length &&
    dims.every((dim, axis) => dim >= (min[axis] ?? 0) && (max[axis] === -1 || dim <= (max[axis] ?? 0)))
  )
}
