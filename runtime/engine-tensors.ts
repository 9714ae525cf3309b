import { OnnxEngineError, textOf } from './errors.ts'
import type { Binding } from './manifest.ts'
import type { CheckedTensor } from './session.ts'
import { bytesOf, viewOf } from './tensor-memory.ts'
import { quote } from './text.ts'

/** An input as native addons take it. */
export interface EngineInput {
  readonly bytes: Uint8Array
  readonly dims: readonly number[]
}

/** An output as native addons return it. */
export interface EngineOutput {
  readonly buffer: ArrayBuffer
  readonly dims: readonly number[]
}

/** The bytes of an input, without a copy. Throws INPUT_INVALID for strings, which no native engine takes as bytes. */
export function engineInput(tensor: CheckedTensor | undefined, subject: string): EngineInput {
  if (!tensor || !ArrayBuffer.isView(tensor.data))
    throw new OnnxEngineError('INPUT_INVALID', subject, { expected: 'a tensor of numbers', received: 'none' })
  return { bytes: bytesOf(tensor.data), dims: tensor.dims }
}

/** The outputs of a model by name; `outputs` has one for each binding, in the same order. */
export function outputTensors(
  bindings: readonly Binding[],
  outputs: readonly (EngineOutput | undefined)[],
): Map<string, CheckedTensor> {
  return new Map(
    bindings.map(({ name, dtype }, index): [string, CheckedTensor] => {
      const { buffer, dims } = outputs[index] ?? { buffer: new ArrayBuffer(0), dims: [] }
      return [name, { dtype, dims, data: viewOf(dtype, buffer, 0, buffer.byteLength) }]
    }),
  )
}

/**
 * Throws a plain Error when a port of an engine has another dtype than the model's binding: reading the bytes as
 * another dtype would give wrong numbers without an error.
 */
export function checkPortDtype({ name, dtype }: Binding, port: { readonly dtype: string } | undefined): void {
  if (port?.dtype !== dtype)
    throw new Error(`the engine's ${quote(name)} is ${port?.dtype ?? 'missing'}, the model's is ${dtype}`)
}

/** The session of a loaded engine, or the error of `create` once the engine is closed. */
export async function orClose<S>(engine: { close(): Promise<void> }, create: () => S): Promise<S> {
  try {
    return create()
  } catch (error) {
    await engine.close()
    throw error
  }
}

/** The head of a message about one input. */
export function inputSubject(model: string, name: string): string {
  return `${model}, input ${quote(name)}`
}

/** The error of an engine that failed; `product` is the name of its library. */
export function inferenceError(subject: string, product: string, cause: unknown): OnnxEngineError {
  const text = `${subject}: ${product} failed while running the model: ${textOf(cause)}`
  return new OnnxEngineError('INFERENCE_FAILED', text, { cause })
}
