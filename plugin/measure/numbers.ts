import type { CheckedTensor } from '../../runtime/session.ts'

/** The elements of a tensor as numbers, those of 16 bits as what they stand for; undefined for text. */
export function numbersOf({ dtype, data }: CheckedTensor): ArrayLike<number> | undefined {
  if (!ArrayBuffer.isView(data)) return undefined
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float64Array.from(data, Number)
  if (dtype === 'float16' || dtype === 'bfloat16')
    return Float32Array.from(data as Uint16Array, dtype === 'float16' ? fromFloat16 : fromBfloat16)
  return data as unknown as ArrayLike<number>
}

const word = new Uint32Array(1)
const single = new Float32Array(word.buffer)

function fromBfloat16(bits: number): number {
  word[0] = bits << 16
  return single[0] ?? 0
}

function fromFloat16(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023]
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25))
}

/** The middle of some numbers; of an even count, the mean of the two in the middle. */
export function median(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort()
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
