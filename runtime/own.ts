import { dtypes, type DType } from './dtype.ts'
import type { CheckedTensor } from './session.ts'

type Tensors = ReadonlyMap<string, CheckedTensor>

/** Copies of the tensors, which nobody else sees. */
export function copyTensors(tensors: Tensors): Tensors {
  return mapData(tensors, (data) => (ArrayBuffer.isView(data) ? bytesOf(data).slice() : data.slice()))
}

/**
 * The same tensors in buffers of our own: the caller's are detached. Memory that cannot be moved (shared, of WebAssembly, or of Node's own
 * Buffer pool) is copied and left alone.
 */
export function takeTensors(tensors: Tensors): Tensors {
  const taken = new Map<ArrayBufferLike, ArrayBuffer | undefined>()
  return mapData(tensors, (data) => {
    if (!ArrayBuffer.isView(data)) return data.slice()
    const { buffer, byteOffset, byteLength } = data
    // Several inputs may be views of one buffer, which can be moved only once.
    if (!taken.has(buffer)) taken.set(buffer, take(buffer))
    const own = taken.get(buffer)
    return own ? new Uint8Array(own, byteOffset, byteLength) : bytesOf(data).slice()
  })
}

/** The bytes that a view covers. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
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
  if (!(buffer instanceof ArrayBuffer)) return undefined
  try {
    return structuredClone(buffer, { transfer: [buffer] })
  } catch {
    return undefined
  }
}
