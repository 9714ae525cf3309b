import { dtypes, elementCount } from '../../runtime/dtype.ts'
import { defaultTensor } from '../../runtime/input-defaults.ts'
import type { Binding } from '../../runtime/manifest.ts'
import { listedProfiles } from '../options/listed-profiles.ts'
import type { CompileOptions } from '../options/schema.ts'
import { roundToHalf } from '../precision/half/rounding.ts'
import type { Sample } from '../samples/read.ts'
import type { InputRange } from './input-ranges.ts'

/** Dims and values that the options give to inputs, by name. */
export interface KnownInputs {
  /** Dims: fixed, or what a profile is tuned for. */
  readonly dims: Readonly<Record<string, readonly number[]>>
  /** Other dims that the engine must take: the bounds of its profiles. */
  readonly bounds?: readonly Readonly<Record<string, readonly number[]>>[]
  /** Values of shape tensors that a profile is tuned for. */
  readonly values: Readonly<Record<string, readonly number[]>>
}

/** Dims and values that the options give to inputs; the first profile's `opt` counts. */
export function knownInputs(options: Pick<CompileOptions, 'profiles' | 'shapes'>): KnownInputs {
  const { shapes } = options
  const profiles = listedProfiles(options)
  const [profile] = profiles
  const values = Object.fromEntries(Object.entries(profile?.values ?? {}).map(([input, { opt }]) => [input, opt]))
  const extremes = profiles.flatMap(({ min, max }) => [min, max]).filter((dims) => Object.keys(dims).length > 0)
  const bounds = extremes.map((dims) => ({ ...dims, ...shapes }))
  return { dims: { ...profile?.opt, ...shapes }, bounds, values }
}

/** How the values of one sample are drawn. */
export interface Draw {
  /** In words, for the report. */
  readonly name: string
  /** Floats are drawn from -scale to scale. */
  readonly scale: number
  /** Share of ones in bools and masks. */
  readonly ones: number
  /** Bits of integers whose readers are not known, at most: 1 for zeros and ones. */
  readonly bits: number
}

/** The first draw is the mildest: a model that refuses it refuses random inputs of these dims. */
export const draws: readonly [Draw, ...Draw[]] = [
  { name: 'unit', scale: 1, ones: 0.5, bits: 1 },
  { name: 'unit, masks mostly on', scale: 1, ones: 0.9, bits: 8 },
  { name: 'small', scale: 1 / 64, ones: 1, bits: 24 },
  { name: 'large', scale: 8, ones: 0.75, bits: 40 },
]

/** Sizes of dims that nothing fixes: of the first dim of an input, and of all others. */
export interface DimSizes {
  readonly first: number
  readonly others: number
}

/**
 * The dims of each input; a dim's name means one size everywhere. Undefined when nothing shows the rank of an input, or
 * when it holds strings.
 */
export function randomDims(
  inputs: readonly Binding[],
  known: KnownInputs['dims'],
  { first, others }: DimSizes,
): ReadonlyMap<string, readonly number[]> | undefined {
  const sizes = new Map<string, number>()
  const shapes = new Map<string, readonly number[]>()
  for (const { name, dtype, dims, default: value } of inputs) {
    if (value) {
      shapes.set(name, value.dims)
      continue
    }
    const given = Object.hasOwn(known, name) ? known[name] : undefined
    if (dtype === 'string' || (!given && !dims)) return undefined
    const sizeOf = (dim: number | string | null, axis: number): number => {
      if (typeof dim === 'number') return dim
      const guess = axis === 0 ? first : others
      if (dim === null) return guess
      const size = sizes.get(dim) ?? guess
      sizes.set(dim, size)
      return size
    }
    shapes.set(name, given ?? dims!.map(sizeOf))
  }
  return shapes
}

/** What random values must respect besides their dims. */
export interface ValueLimits {
  readonly values: KnownInputs['values']
  readonly ranges: ReadonlyMap<string, InputRange>
}

/** One sample of random values from a seed. Shape tensors have their known values, since others make no shape. */
export function randomSample(
  inputs: readonly Binding[],
  shapes: ReadonlyMap<string, readonly number[]>,
  { values, ranges }: ValueLimits,
  { draw, seed }: { readonly draw: Draw; readonly seed: number },
): Sample {
  const random = generator(seed)
  return new Map(
    inputs.map((input) => {
      const { name, dtype } = input
      // A default is what it is compared on: random values may mean nothing to it.
      const value = defaultTensor(input)
      if (value) return [name, value]
      const dims = shapes.get(name)!
      const length = elementCount(dims)
      const range = ranges.get(name) ?? { kind: 'free' }
      const next = Object.hasOwn(values, name) ? listed(values[name]!) : drawn(dtype, range, draw, random)
      return [name, { dtype, dims, data: filled(dtype, length, next) }]
    }),
  )
}

function listed(values: readonly number[]): () => number {
  let index = 0
  return () => values[index++] ?? 0
}

const floatNames: ReadonlySet<string> = new Set(['float16', 'bfloat16', 'float32', 'float64'])

function drawn(dtype: Binding['dtype'], range: InputRange, draw: Draw, random: () => number): () => number {
  if (range.kind === 'lists') return listed(range.lists[Math.floor(random() * range.lists.length)]!)
  const bit = () => (random() < draw.ones ? 1 : 0)
  if (dtype === 'bool' || range.kind === 'mask') return bit
  if (range.kind === 'tied') {
    // All are equal where all masks are on.
    const levels = draw.ones === 1 ? 1 : 4
    const step = floatNames.has(dtype) ? draw.scale / levels : 1
    return () => Math.floor(random() * levels) * step
  }
  if (floatNames.has(dtype)) {
    if (range.kind === 'image') return () => random() * 255
    return () => (random() * 2 - 1) * draw.scale
  }
  if (range.kind === 'index') return () => range.min + Math.floor(random() * (range.max - range.min + 1))
  if (range.kind === 'guarded') return () => (random() < 0.5 ? 0 : 1)
  const [low, high] = boundsOf(dtype, range.kind === 'divided' && draw.bits > 1 ? Math.max(draw.bits, 31) : draw.bits)
  return () => low + Math.floor(random() * (high - low + 1))
}

/** Bounds of integers of so many bits; bytes are always drawn from all 256 values. */
function boundsOf(dtype: Binding['dtype'], wanted: number): readonly [number, number] {
  const own = dtypes[dtype].bits
  if (wanted === 1 && own > 8) return [0, 1]
  const bits = own === 8 ? 8 : Math.min(own, wanted)
  return dtype.startsWith('u') ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
}

function filled(dtype: Binding['dtype'], length: number, next: () => number): ArrayBufferView {
  if (dtype === 'float16' || dtype === 'bfloat16') return roundToHalf[dtype](Float32Array.from({ length }, next))
  const { array } = dtypes[dtype]
  if (array === 'BigInt64Array') return BigInt64Array.from({ length }, () => BigInt(next()))
  if (array === 'BigUint64Array') return BigUint64Array.from({ length }, () => BigInt(next()))
  const data = new arrays[array as keyof typeof arrays](length)
  for (let i = 0; i < length; i++) data[i] = next()
  return data
}

const arrays = {
  Int8Array,
  Uint8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
} as const

// mulberry32, public domain.
function generator(seed: number): () => number {
  let state = 0x9e3779b9 ^ Math.imul(seed, 0x85ebca6b)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let word = Math.imul(state ^ (state >>> 15), state | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32
  }
}
