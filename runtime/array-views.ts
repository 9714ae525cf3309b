import { dtypes, type DType } from './dtype.ts'
import { viewOf } from './tensor-memory.ts'

// The getters of the intrinsic prototype know a typed array across realms (test runners, Electron). Own properties and
// subclasses cannot override them: an array that lies about its length would be read beyond its end.
const prototype = Object.getPrototypeOf(Uint8Array.prototype) as object

function intrinsic<T>(key: PropertyKey): (view: unknown) => T {
  const getter = Object.getOwnPropertyDescriptor(prototype, key)?.get
  return (view) => getter?.call(view) as T
}

/** The name of a typed array's type, such as 'Float32Array'; undefined for any other value. */
export const arrayTag: (value: unknown) => string | undefined = intrinsic(Symbol.toStringTag)

const lengthOf = intrinsic<number>('length')
const byteLengthOf = intrinsic<number>('byteLength')
const byteOffsetOf = intrinsic<number>('byteOffset')
const bufferOf = intrinsic<ArrayBuffer>('buffer')

/** A typed array, measured by the engine of JavaScript. */
export interface ArrayExtent {
  readonly buffer: ArrayBuffer
  readonly length: number
  readonly byteOffset: number
  readonly byteLength: number
}

/** Where the elements of a typed array are; all zero for a detached one. */
export function extentOf(view: unknown): ArrayExtent {
  return {
    buffer: bufferOf(view),
    length: lengthOf(view),
    byteOffset: byteOffsetOf(view),
    byteLength: byteLengthOf(view),
  }
}

/** A new view of the same elements, in the array type of the dtype. */
export function plainView(dtype: DType, { buffer, byteOffset, byteLength }: ArrayExtent): ArrayBufferView {
  // An empty array may be detached, which a view cannot be made of.
  return byteLength === 0 ? viewOf(dtype, new ArrayBuffer(0), 0, 0) : viewOf(dtype, buffer, byteOffset, byteLength)
}

export function isDetached({ buffer }: ArrayExtent): boolean {
  try {
    // Node 20 has no ArrayBuffer.prototype.detached, but no view can be made of a detached buffer.
    void new Uint8Array(buffer)
    return false
  } catch {
    return true
  }
}

/**
 * What to write instead when the bytes of a Buffer or another array are `length` elements of the dtype, or when each of
 * its elements is one; undefined when it is neither. Image libraries return Buffers for both.
 */
export function conversionHint(dtype: DType, data: unknown, length: number): string | undefined {
  if (arrayTag(data) === undefined) return undefined
  const { array, bits } = dtypes[dtype]
  const { byteOffset, byteLength, length: elements } = extentOf(data)
  const bytes = bits / 8
  if (arrayTag(data) === 'Uint8Array' && byteLength === length * bytes)
    return byteOffset % bytes === 0
      ? `If its bytes are ${dtype}, pass new ${array}(data.buffer, data.byteOffset, ${length}).`
      : `If its bytes are ${dtype}, pass new ${array}(new Uint8Array(data).buffer).`
  if (elements === length && dtype.startsWith('float') && array.startsWith('Float'))
    return `If each of its elements is a value, pass ${array}.from(data).`
  return undefined
}
