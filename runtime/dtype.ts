/**
 * The one dtype table: every element type of ONNX's `TensorProto.DataType`, with its code, its size in bits and the
 * typed array that carries it in JavaScript. Source: onnx.proto (ONNX 1.23), enum `TensorProto.DataType`.
 *
 * `array: null` means that no typed array holds it: such a type may be stored in an initializer, but is refused as a
 * binding. `float16` and `bfloat16` travel as raw 16 bits in a `Uint16Array`; for float16 inputs a `Float16Array` works
 * too, on platforms that have one.
 */
export const dtypes = {
  float32: { code: 1, bits: 32, array: 'Float32Array' },
  uint8: { code: 2, bits: 8, array: 'Uint8Array' },
  int8: { code: 3, bits: 8, array: 'Int8Array' },
  uint16: { code: 4, bits: 16, array: 'Uint16Array' },
  int16: { code: 5, bits: 16, array: 'Int16Array' },
  int32: { code: 6, bits: 32, array: 'Int32Array' },
  int64: { code: 7, bits: 64, array: 'BigInt64Array' },
  string: { code: 8, bits: 0, array: 'Array' },
  bool: { code: 9, bits: 8, array: 'Uint8Array' },
  float16: { code: 10, bits: 16, array: 'Uint16Array' },
  float64: { code: 11, bits: 64, array: 'Float64Array' },
  uint32: { code: 12, bits: 32, array: 'Uint32Array' },
  uint64: { code: 13, bits: 64, array: 'BigUint64Array' },
  complex64: { code: 14, bits: 64, array: null },
  complex128: { code: 15, bits: 128, array: null },
  bfloat16: { code: 16, bits: 16, array: 'Uint16Array' },
  float8e4m3fn: { code: 17, bits: 8, array: null },
  float8e4m3fnuz: { code: 18, bits: 8, array: null },
  float8e5m2: { code: 19, bits: 8, array: null },
  float8e5m2fnuz: { code: 20, bits: 8, array: null },
  uint4: { code: 21, bits: 4, array: null },
  int4: { code: 22, bits: 4, array: null },
  float4e2m1: { code: 23, bits: 4, array: null },
  float8e8m0: { code: 24, bits: 8, array: null },
  uint2: { code: 25, bits: 2, array: null },
  int2: { code: 26, bits: 2, array: null },
} as const

/** Any element type that ONNX can store. */
export type StoredDType = keyof typeof dtypes

/** An element type that a binding (an input or output of a model) may have. */
export type DType = { [D in StoredDType]: (typeof dtypes)[D]['array'] extends null ? never : D }[StoredDType]

const byCode = new Map<number, StoredDType>(
  Object.entries(dtypes).map(([name, { code }]) => [code, name as StoredDType]),
)

/** The name of an ONNX element type code; undefined for a code that ONNX does not have. */
export function dtypeOfCode(code: number): StoredDType | undefined {
  return byCode.get(code)
}

/** How many elements a tensor of these dims has. */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1)
}

/** Whether a stored dtype may be the dtype of a binding, which needs an array in JavaScript. */
export function isBindingDType(dtype: StoredDType): dtype is DType {
  return dtypes[dtype].array !== null
}
