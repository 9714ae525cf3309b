import { extentOf, plainView } from './array-views.ts'
import { inputCheck } from './check-inputs.ts'
import { dtypes, type DType } from './dtype.ts'
import { OnnxEngineError, textOf } from './errors.ts'
import type { Binding, Bindings } from './manifest.ts'
import { modelOf } from './open-model.ts'
import type { CheckedTensor, Session } from './session.ts'
import { copyTensors } from './tensor-memory.ts'
import { quote } from './text.ts'
import type { Input, Model, Outputs } from './types.ts'

/** Outputs that a test gives: tensors, or plain data where all dims are static. */
export type MockOutputs<M> = M extends Model<infer _, infer O> ? { readonly [K in keyof O]: Input<O[K]> } : never

/** The inputs of a call as the mock receives them: all of them tensors. */
export type MockInputs<M> =
  M extends Model<infer I, infer _> ? Outputs<{ readonly [K in keyof I]: NonNullable<I[K]> }> : never

export interface MockOptions {
  /** Name of the model. Default: 'mock'. */
  readonly name?: string
  /**
   * The bindings of the model, such as those in the manifest of `unplugin-onnx build`: inputs and outputs are then
   * checked as the model itself would. Without them, any input is accepted.
   */
  readonly bindings?: Bindings
}

/**
 * A model without an engine, for tests: infer() gives these outputs, or what a function makes of the inputs. Signals,
 * `transfer`, dispose() and load() work as for a real model. The types are those of the model:
 *
 * @example
 *   ;```ts
 *   import type pose from './pose.onnx?engine=fp16'
 *   const model = mockModel<typeof pose>({ heatmap: { data: new Float32Array(17), dims: [1, 17] } })
 *   ```
 */
export function mockModel<M extends Model>(
  outputs: MockOutputs<M> | ((inputs: MockInputs<M>) => MockOutputs<M> | Promise<MockOutputs<M>>),
  { name = 'mock', bindings }: MockOptions = {},
): M {
  const facts = { name, bindings: bindings ?? { inputs: [], outputs: [] } }
  const answer = typeof outputs === 'function' ? (outputs as (inputs: object) => unknown) : () => outputs
  const session: Session = {
    kind: 'worker',
    optionalInputs: 'any',
    async infer(inputs) {
      const outputs = await answerOf(name, () => answer(Object.fromEntries(inTypedArrays(inputs))))
      // Copies: the caller may change an output, and the next call gives it again.
      return inTypedArrays(copyTensors(outputTensors(name, bindings?.outputs, outputs)))
    },
    dispose: async () => {},
  }
  const variant = { backend: 'onnxruntime', engine: 'fp32', session: 'worker', skipped: [] } as const
  const check = bindings ? undefined : (inputs: unknown) => inputCheck(name, bindingsOf(inputs), 'loose')(inputs)
  const model: unknown = modelOf({ ...facts, check }, async () => ({ session, variant }))
  return model as M
}

// On its way a tensor is only bytes.
function inTypedArrays(tensors: ReadonlyMap<string, CheckedTensor>): ReadonlyMap<string, CheckedTensor> {
  return new Map(
    Array.from(tensors, ([name, { dtype, dims, data }]) => [
      name,
      { dtype, dims, data: ArrayBuffer.isView(data) ? plainView(dtype, extentOf(data)) : data },
    ]),
  )
}

async function answerOf(name: string, answer: () => unknown): Promise<unknown> {
  try {
    return await answer()
  } catch (cause) {
    if (cause instanceof OnnxEngineError) throw cause
    throw new OnnxEngineError('INFERENCE_FAILED', `mock of the model ${quote(name)}: ${textOf(cause)}`, { cause })
  }
}

// The checks of inputs are those of outputs too; only the code differs.
function outputTensors(
  name: string,
  bindings: readonly Binding[] | undefined,
  outputs: unknown,
): ReadonlyMap<string, CheckedTensor> {
  const missing = bindings?.find((binding) => !Object.hasOwn(Object(outputs), binding.name))
  try {
    if (missing) throw new OnnxEngineError('INPUT_INVALID', `output ${quote(missing.name)}`, { received: 'nothing' })
    return inputCheck(name, bindings ?? bindingsOf(outputs), 'loose')(outputs)
  } catch (error) {
    throw new OnnxEngineError('INFERENCE_FAILED', textOf(error).replace(', input ', ', output '), { cause: error })
  }
}

/** What values say of themselves, as bindings that accept them. */
function bindingsOf(values: unknown): readonly Binding[] {
  return Object.entries(Object(values) as Readonly<Record<string, unknown>>).map(([name, value]) => ({
    name,
    dtype: dtypeOf(value),
    dims: dimsOf(value),
  }))
}

function dimsOf(value: unknown): readonly number[] | null {
  if (Array.isArray(value)) return [value.length]
  return ArrayBuffer.isView(value) ? [(value as Uint8Array).length] : null
}

function dtypeOf(value: unknown): DType {
  const { dtype, data } = Object(value) as { readonly dtype?: DType; readonly data?: unknown }
  if (dtype !== undefined && Object.hasOwn(dtypes, dtype)) return dtype
  const tag = Object.prototype.toString.call(ArrayBuffer.isView(value) || Array.isArray(value) ? value : data)
  const array = tag.slice(8, -1)
  const found = Object.entries(dtypes).find((entry) => entry[1].array === array)
  return (found?.[0] ?? 'float32') as DType
}
