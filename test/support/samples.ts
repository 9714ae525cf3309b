import type { HalfDType } from '../../plugin/precision/half/rounding.ts'

/** The bytes of a .npy file of float32, or of another type that NumPy describes so. */
export function npy(
  dims: readonly number[],
  data: ArrayBufferView | readonly number[],
  descr = '<f4',
  fortran = false,
): Uint8Array {
  const values = ArrayBuffer.isView(data) ? data : Float32Array.from(data)
  const shape = dims.length === 1 ? `${dims[0]},` : dims.join(', ')
  const text = `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': (${shape}), }`
  const header = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + '\n'
  const start = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length & 255, header.length >> 8])
  return Buffer.concat([
    start,
    Buffer.from(header, 'latin1'),
    Buffer.from(values.buffer, values.byteOffset, values.byteLength),
  ])
}

/** Numbers that look like a normal distribution, the same for the same seed. */
export function normal(length: number, seed = 1): Float32Array {
  const random = randomFrom(seed)
  return Float32Array.from({ length }, () => (random() + random() + random() + random() - 2) * Math.sqrt(3))
}

/** Numbers between -bound and bound, the same for the same seed. */
export function uniform(length: number, seed: number, bound: number): Float32Array {
  const random = randomFrom(seed)
  return Float32Array.from({ length }, () => (random() * 2 - 1) * bound)
}

/** The numbers that values of 16 bits stand for. */
export function unround(bits: Uint16Array, dtype: HalfDType): Float32Array {
  return Float32Array.from(bits, (bit) => {
    if (dtype === 'bfloat16') return new Float32Array(Uint32Array.of(bit << 16).buffer)[0]!
    const [sign, exponent, fraction] = [bit & 0x8000 ? -1 : 1, (bit >> 10) & 31, bit & 1023]
    if (exponent === 31) return fraction ? NaN : sign * Infinity
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : (2 ** -14 * fraction) / 1024)
  })
}

/** The cosine of the angle between two lists of numbers. */
export function cosine(a: Float32Array, b: Float32Array): number {
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, index) => sum + value * b[index]!, 0)
}

function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
}
