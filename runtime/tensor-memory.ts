import { dtypes, type DType } from './dtype.ts'
import type { CheckedTensor } from './session.ts'

type Tensors = ReadonlyMap<string, CheckedTensor>

/** Copies of the tensors, which nothing else refers to. */
export function copyTensors(tensors: Tensors): Tensors {
  return mapData(tensors, (data) => (ArrayBuffer.isView(data) ? bytesOf(data).slice() : data.slice()))
}

/**
 * The same tensors in buffers of our own: the caller's are detached. Memory that cannot be moved (shared memory,
 * WebAssembly memory, Node's own Buffer pool) is copied and left alone.
 */
export function takeTensors(tensors: Tensors): Tensors {
  // Read before anything moves: several inputs may be views of one buffer, and a detached view loses its extent.
  const views = Array.from(tensors.values(), ({ data }) => data).filter((data) => ArrayBuffer.isView(data))
  const extents = new Map(views.map((view) => [view, { offset: view.byteOffset, bytes: view.byteLength }]))
  const taken = new Map(Array.from(new Set(views.map(({ buffer }) => buffer)), (buffer) => [buffer, take(buffer)]))
  return mapData(tensors, (data) => {
    if (!ArrayBuffer.isView(data)) return data.slice()
    const own = taken.get(data.buffer)
    const { offset, bytes } = extents.get(data) ?? { offset: 0, bytes: 0 }
    return own ? new Uint8Array(own, offset, bytes) : bytesOf(data).slice()
  })
}

/** The bytes that a view covers. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

/** The same view, or a copy of its bytes where another thread may change them. */
export function unsharedViewOf(view: ArrayBufferView): ArrayBufferView {
  return isArrayBuffer(view.buffer) ? view : bytesOf(view).slice()
}

/** A new typed array of a dtype, of zeros. Throws a RangeError where there is no memory for it. */
export function arrayOf(dtype: DType, length: number): ArrayBufferView {
  const { array } = dtypes[dtype]
  if (array === 'Array') throw new TypeError('strings have no bytes')
  return new globalThis[array](length)
}

/** The typed array of a dtype over a part of a buffer. */
export function viewOf(dtype: DType, buffer: ArrayBuffer, offset: number, bytes: number): ArrayBufferView {
  const { array, bits } = dtypes[dtype]
  if (array === 'Array') throw new TypeError('strings have no bytes')
  return new globalThis[array](buffer, offset, (bytes * 8) / bits)
}

function mapData(tensors: Tensors, change: (data: CheckedTensor['data']) => CheckedTensor['data']): Tensors {
  return new Map(Array.from(tensors, ([name, tensor]) => [name, { ...tensor, data: change(tensor.data) }]))
}

function take(buffer: ArrayBufferLike): ArrayBuffer | undefined {
  if (!isArrayBuffer(buffer)) return undefined
  try {
    return structuredClone(buffer, { transfer: [buffer] })
  } catch {
    return undefined
  }
}

// By its tag, since the buffer may come from another realm; that takes longer.
function isArrayBuffer(buffer: ArrayBufferLike): buffer is ArrayBuffer {
  return buffer instanceof ArrayBuffer || Object.prototype.toString.call(buffer) === '[object ArrayBuffer]'
}
