import type { TensorRtPort, TensorRtProfile } from '../../native/load-addon.ts'
import type { DType } from '../dtype.ts'
import { OnnxEngineError } from '../errors.ts'
import { viewOf } from '../tensor-memory.ts'

/** The bytes of an input, in the order of the engine's input ports. */
interface Input {
  readonly bytes: Uint8Array
  readonly dims: readonly number[]
}

/**
 * Throws INPUT_INVALID when the inputs fit no optimization profile: by their dims or, for shape tensors, by their
 * values.
 */
export function refuseInputs(
  profiles: readonly TensorRtProfile[],
  ports: readonly TensorRtPort[],
  inputs: readonly Input[],
  where: string,
): void {
  const values = inputs.map((input, index) =>
    profiles.some(({ minValues }) => minValues[index]?.length) ? valuesOf(ports[index], input) : [],
  )
  const fits = profiles.some(({ min, max, minValues, maxValues }) =>
    inputs.every(
      ({ dims }, index) =>
        keeps(dims, min[index], max[index]) && keeps(values[index] ?? [], minValues[index], maxValues[index]),
    ),
  )
  if (fits) return
  const texts = profiles.map(({ min, max, minValues, maxValues }) =>
    ports
      .map(
        ({ name }, index) =>
          `${name} ${bounds(min[index], max[index])}${minValues[index]?.length ? ` with values ${bounds(minValues[index], maxValues[index])}` : ''}`,
      )
      .join(' with '),
  )
  throw new OnnxEngineError('INPUT_INVALID', `${where}, inputs`, {
    expected: `what fits an optimization profile: ${texts.join(', or ')}`,
    received: ports
      .map(
        ({ name }, index) =>
          `${name} [${inputs[index]?.dims.join(',')}]${values[index]?.length ? ` with values [${values[index].join(',')}]` : ''}`,
      )
      .join(' with '),
  })
}

function keeps(numbers: readonly number[], min: readonly number[] = [], max: readonly number[] = []): boolean {
  return (
    numbers.length === min.length &&
    numbers.every((number, index) => number >= (min[index] ?? NaN) && number <= (max[index] ?? NaN))
  )
}

function bounds(min: readonly number[] = [], max: readonly number[] = []): string {
  return `[${min.map((low, index) => (low === max[index] ? low : `${low}..${max[index]}`)).join(',')}]`
}

// Copied, since the bytes of a caller may lie at any offset.
function valuesOf(port: TensorRtPort | undefined, { bytes }: Input): readonly number[] {
  const own = bytes.slice()
  return Array.from(
    viewOf((port?.dtype ?? 'int64') as DType, own.buffer, 0, own.length) as unknown as Iterable<bigint | number>,
    Number,
  )
}
