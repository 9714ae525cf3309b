import { dtypes, elementCount } from '../../runtime/dtype.ts'
import type { Binding } from '../../runtime/manifest.ts'
import { roundToHalf } from '../precision/half/rounding.ts'
import type { Sample } from '../samples/read.ts'

/** How many random inputs a comparison takes. */
const sampleCount = 3

/** What options tell of inputs, by name. */
export interface KnownInputs {
  /** Dims: fixed, or what a profile is tuned for. */
  readonly dims: Readonly<Record<string, readonly number[]>>
  /** Values of shape tensors, that a profile is tuned for. */
  readonly values: Readonly<Record<string, readonly number[]>>
}

/**
 * Inputs from a fixed seed: floats from -1 to 1, ones and zeros for all else. Shape tensors have their known values in
 * every sample, since others make no shape. The first dim of an input whose dims are not known is 1, and further ones
 * are `guess`, where a name means the same everywhere. Undefined when nothing tells the rank of an input, or when it
 * holds strings.
 */
export function randomInputs(
  inputs: readonly Binding[],
  { dims, values }: KnownInputs,
  guess: number,
): readonly Sample[] | undefined {
  const random = generator()
  const names = new Map<string, number>()
  const shapes = new Map<string, number[]>()
  for (const input of inputs) {
    const known = Object.hasOwn(dims, input.name) ? dims[input.name] : undefined
    if (input.dtype === 'string' || (!known && !input.dims)) return undefined
    shapes.set(
      input.name,
      known ? [...known] : input.dims!.map((dim, axis) => sizeOf(dim, axis === 0 ? 1 : guess, names)),
    )
  }
  return Array.from(
    { length: sampleCount },
    () =>
      new Map(
        inputs.map(({ name, dtype }) => {
          const shape = shapes.get(name)!
          const data = Object.hasOwn(values, name)
            ? integers(dtype, values[name]!)
            : randomData(dtype, elementCount(shape), random)
          return [name, { dtype, dims: shape, data }]
        }),
      ),
  )
}

function sizeOf(dim: number | string | null, guess: number, names: Map<string, number>): number {
  if (typeof dim === 'number') return dim
  if (dim === null) return guess
  const size = names.get(dim) ?? guess
  names.set(dim, size)
  return size
}

function randomData(dtype: Binding['dtype'], length: number, random: () => number): ArrayBufferView {
  const floats = (): Float32Array => Float32Array.from({ length }, () => random() * 2 - 1)
  if (dtype === 'float32') return floats()
  if (dtype === 'float64') return Float64Array.from(floats())
  if (dtype === 'float16' || dtype === 'bfloat16') return roundToHalf[dtype](floats())
  return integers(
    dtype,
    Array.from({ length }, () => (random() < 0.5 ? 0 : 1)),
  )
}

function integers(dtype: Binding['dtype'], values: readonly number[]): ArrayBufferView {
  const name = dtypes[dtype].array
  if (name === 'BigInt64Array' || name === 'BigUint64Array')
    return (name === 'BigInt64Array' ? BigInt64Array : BigUint64Array).from(values.map(BigInt))
  const arrays = { Int8Array, Uint8Array, Int16Array, Uint16Array, Int32Array, Uint32Array } as const
  return arrays[name as keyof typeof arrays].from(values)
}

// mulberry32, public domain.
function generator(): () => number {
  let state = 0x9e3779b9
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let word = Math.imul(state ^ (state >>> 15), state | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32
  }
}
