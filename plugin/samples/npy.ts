import { dtypes, elementCount, type DType } from '../../runtime/dtype.ts'
import type { CheckedTensor } from '../../runtime/session.ts'

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

/**
 * The bytes of a .npy file, as `numpy.save` writes it. NumPy has no bfloat16: its numbers are written as float32, which
 * holds them all. Text becomes NumPy's unicode of a fixed width.
 */
export function npyBytes({ dtype, dims, data }: CheckedTensor): Uint8Array {
  const array = arrayOf(dtype, data)
  const shape = dims.length === 1 ? `${dims[0]},` : dims.join(', ')
  const header = `{'descr': '${array.description}', 'fortran_order': False, 'shape': (${shape}), }`
  // The magic bytes, the version and the length take 10 bytes; the data starts at a multiple of 64.
  const padded = `${header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11)}\n`
  const start = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, padded.length & 255, padded.length >> 8])
  return Buffer.concat([start, Buffer.from(padded, 'latin1'), array.bytes])
}

interface ArrayBytes {
  readonly description: string
  readonly bytes: Uint8Array
}

function arrayOf(dtype: DType, data: CheckedTensor['data']): ArrayBytes {
  if (!ArrayBuffer.isView(data)) return textArray(data)
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  if (dtype !== 'bfloat16') return { description: descriptionOf(dtype), bytes }
  const bits = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2)
  return {
    description: descriptionOf('float32'),
    bytes: new Uint8Array(Uint32Array.from(bits, (bit) => bit << 16).buffer),
  }
}

function descriptionOf(dtype: DType): string {
  const found = Object.entries(descriptions).find(([, type]) => type === dtype)
  if (!found) throw new Error(`NumPy has no type for elements of ${dtype}`)
  return found[0]
}

/** Code points of four bytes each; shorter texts end in zeros. */
function textArray(texts: readonly string[]): ArrayBytes {
  const points = texts.map((text) => Array.from(text, (character) => character.codePointAt(0)!))
  const ending = texts.find((text) => text.endsWith('\0'))
  if (ending !== undefined) throw new Error('NumPy drops the zeros that a text ends in')
  const width = points.reduce((widest, { length }) => Math.max(widest, length), 1)
  const array = new Uint32Array(texts.length * width)
  for (const [index, list] of points.entries()) array.set(list, index * width)
  return { description: `<U${width}`, bytes: new Uint8Array(array.buffer) }
}
