/** The two 16-bit floating point dtypes. */
export type HalfDType = 'float16' | 'bfloat16'

/** The range of the values of one float32 tensor. */
export interface ValueRange {
  /** Largest finite magnitude; 0 when there is none. */
  readonly largest: number
  /** Whether a value is NaN or infinite. */
  readonly special: boolean
}

/**
 * The limits of each dtype. Values from `overflow` on round to infinity: it is the largest finite value plus half a
 * step. `normal` is the smallest normal value, below which precision is lost bit by bit (IEEE 754 binary16; bfloat16
 * has the exponent of binary32).
 */
export const halfLimits = {
  float16: { overflow: 65520, normal: 2 ** -14 },
  bfloat16: { overflow: 2 ** 127 * (2 - 2 ** -8), normal: 2 ** -126 },
} as const satisfies Record<HalfDType, { overflow: number; normal: number }>

/**
 * Rounds to the nearest 16-bit value, ties to even; a NaN stays one. Writes the bits into `halves` and returns it.
 */
export const roundToHalf: Readonly<Record<HalfDType, (values: Float32Array, halves?: Uint16Array) => Uint16Array>> = {
  float16(values, halves = new Uint16Array(values.length)) {
    const bits = wordsOf(values)
    for (let i = 0; i < bits.length; i++) {
      const word = bits[i] ?? 0
      const magnitude = word & 0x7fffffff
      halves[i] = ((word >>> 16) & 0x8000) | (magnitude < 0x38800000 ? subnormal(values[i] ?? 0) : normal(magnitude))
    }
    return halves
  },
  bfloat16(values, halves = new Uint16Array(values.length)) {
    const bits = wordsOf(values)
    for (let i = 0; i < bits.length; i++) {
      const word = bits[i] ?? 0
      // The quiet bit is set, so that a NaN whose payload is in the lower half does not become infinite.
      halves[i] = (word & 0x7fffffff) > 0x7f800000 ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16
    }
    return halves
  },
}

/** The range of some values, joined with that of others. */
export function rangeOf(values: Float32Array, others: ValueRange = { largest: 0, special: false }): ValueRange {
  // Without the sign, the bits of finite values are in the order of the values: comparing them is twice as fast.
  let largest = 0
  let special = false
  const bits = wordsOf(values)
  for (let i = 0; i < bits.length; i++) {
    const magnitude = (bits[i] ?? 0) & 0x7fffffff
    if (magnitude > largest) {
      if (magnitude < 0x7f800000) largest = magnitude
      else special = true
    }
  }
  const [value = 0] = new Float32Array(Uint32Array.of(largest).buffer)
  return { largest: Math.max(value, others.largest), special: special || others.special }
}

// Signed, because JavaScript computes with signed 32-bit integers directly.
function wordsOf({ buffer, byteOffset, length }: Float32Array): Int32Array {
  return new Int32Array(buffer, byteOffset, length)
}

function normal(magnitude: number): number {
  if (magnitude >= 0x47800000) return magnitude > 0x7f800000 ? 0x7e00 : 0x7c00
  // The exponent's bias changes from 127 to 15, then 13 bits are rounded away.
  return (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13
}

function subnormal(value: number): number {
  const steps = Math.abs(value) * 2 ** 24
  const whole = Math.floor(steps)
  const rest = steps - whole
  return rest > 0.5 || (rest === 0.5 && whole % 2 === 1) ? whole + 1 : whole
}
