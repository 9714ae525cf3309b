import type { TensorRtPort, TensorRtProfile } from '../../native/load-addon.ts'
import type { DType } from '../dtype.ts'
import type { EngineInput } from '../engine-tensors.ts'
import { OnnxEngineError } from '../errors.ts'
import { viewOf } from '../tensor-memory.ts'
import { rangeText } from '../text.ts'

/** What bounds the inputs of an engine; ports are its input ports, in its order. */
export interface EngineBounds {
  readonly profiles: readonly TensorRtProfile[]
  readonly ports: readonly TensorRtPort[]
}

/**
 * Throws INPUT_INVALID when the inputs, in the order of the ports, fit no optimization profile: by their dims or, for
 * shape tensors, by their values.
 */
export function checkProfiles(
  { profiles, ports }: EngineBounds,
  inputs: readonly EngineInput[],
  subject: string,
): void {
  const values = inputs.map((input, index) =>
    profiles.some(({ minValues }) => minValues[index]?.length) ? valuesOf(ports[index], input) : [],
  )
  const fits = profiles.some(({ min, max, minValues, maxValues }) =>
    inputs.every(
      ({ dims }, index) =>
        isWithin(dims, min[index], max[index]) && isWithin(values[index] ?? [], minValues[index], maxValues[index]),
    ),
  )
  if (fits) return
  const texts = profiles.map((profile) => profileText(profile, ports))
  throw new OnnxEngineError('INPUT_INVALID', `${subject}, inputs`, {
    expected: `what fits an optimization profile: ${texts.join(', or ')}`,
    received: ports
      .map(({ name }, index) => inputText(name, listText(inputs[index]?.dims), listText(values[index])))
      .join(' with '),
  })
}

function isWithin(numbers: readonly number[], min: readonly number[] = [], max: readonly number[] = []): boolean {
  return (
    numbers.length === min.length &&
    numbers.every((number, index) => number >= (min[index] ?? NaN) && number <= (max[index] ?? NaN))
  )
}

function profileText({ min, max, minValues, maxValues }: TensorRtProfile, ports: readonly TensorRtPort[]): string {
  return ports
    .map(({ name }, index) => {
      const values = rangeText(minValues[index] ?? [], maxValues[index] ?? [])
      return inputText(name, rangeText(min[index] ?? [], max[index] ?? []), values)
    })
    .join(' with ')
}

// Only shape tensors have values.
function inputText(name: string, dims: string, values: string): string {
  return values === '[]' ? `${name} ${dims}` : `${name} ${dims} with values ${values}`
}

function listText(numbers: readonly number[] = []): string {
  return `[${numbers.join(',')}]`
}

// Copied, because the bytes of a caller may begin at any offset.
function valuesOf(port: TensorRtPort | undefined, { bytes }: EngineInput): readonly number[] {
  const own = bytes.slice()
  return Array.from(
    viewOf((port?.dtype ?? 'int64') as DType, own.buffer, 0, own.length) as unknown as Iterable<bigint | number>,
    Number,
  )
}
