import { dtypes, elementCount, type DType } from '../../runtime/dtype.ts'

/** An array of a .npy file. 16-bit floats are their raw bits. */
export interface NpyArray {
  readonly dtype: DType
  readonly dims: readonly number[]
  readonly data: ArrayBufferView
}

// The type strings of NumPy for what an input may be; those of one byte have no order.
const descriptions: Readonly<Record<string, DType>> = {
  '<f4': 'float32',
  '<f8': 'float64',
  '<f2': 'float16',
  '|i1': 'int8',
  '|u1': 'uint8',
  '<i2': 'int16',
  '<u2': 'uint16',
  '<i4': 'int32',
  '<u4': 'uint32',
  '<i8': 'int64',
  '<u8': 'uint64',
  '|b1': 'bool',
}

const arrays = {
  Float32Array,
  Float64Array,
  Int8Array,
  Uint8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  BigInt64Array,
  BigUint64Array,
} as const

/**
 * Reads a .npy file (format 1 to 3 of NumPy's `numpy.lib.format`). Throws Error with a sentence on what is wrong: not
 * such a file, an array in Fortran order or of big-endian numbers, a type that no input can have, bytes that do not fit
 * the shape.
 */
export function parseNpy(bytes: Uint8Array): NpyArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 12 || view.getUint32(0) !== 0x934e554d || view.getUint16(4) !== 0x5059)
    throw new Error('it is not a .npy file')
  const start = bytes[6] === 1 ? 10 : 12
  const end = start + (start === 10 ? view.getUint16(8, true) : view.getUint32(8, true))
  const header = new TextDecoder('latin1').decode(bytes.subarray(start, end))
  const description = /'descr':\s*'([^']*)'/.exec(header)?.[1]
  const shape = /'shape':\s*\(([\d\s,]*)\)/.exec(header)?.[1]
  if (end > bytes.length || description === undefined || shape === undefined)
    throw new Error('its header cannot be read')
  if (/'fortran_order':\s*True/.test(header)) throw new Error('it is in Fortran order; save np.ascontiguousarray(x)')
  const dtype = descriptions[description]
  if (!dtype)
    throw new Error(`it holds elements of type ${description}; expected one of ${Object.keys(descriptions).join(', ')}`)
  const dims = shape
    .split(',')
    .filter((text) => text.trim() !== '')
    .map(Number)
  const length = elementCount(dims) * (dtypes[dtype].bits / 8)
  if (bytes.length - end !== length)
    throw new Error(`it holds ${bytes.length - end} bytes of data; its shape needs ${length}`)
  const name = dtypes[dtype].array
  if (name === 'Array') throw new Error('it holds text')
  // A copy: elements must start at an address that is a multiple of their size.
  const data = new Uint8Array(bytes.subarray(end))
  return { dtype, dims, data: new arrays[name](data.buffer, 0, length / arrays[name].BYTES_PER_ELEMENT) }
}
