import type { CheckedTensor } from '../session.ts'
import { bytesOf, viewOf } from '../tensor-memory.ts'
import { createBufferPool } from './buffer-pool.ts'

/** Inputs in buffers that nobody else sees while the model runs. */
export interface Packed {
  readonly inputs: ReadonlyMap<string, CheckedTensor>
  /** All buffers that the inputs lie in. */
  readonly buffers: readonly ArrayBuffer[]
  /** The buffer that goes back to the pool after the run. */
  readonly pooled?: ArrayBuffer
}

// Views start at multiples of this, which is enough for every dtype and for vector loads.
const alignment = 64

const pool = createBufferPool(64 << 20)

/** Copies the inputs of a call into one buffer of the pool. Give it back with `giveBack` after the run. */
export function packInputs(inputs: ReadonlyMap<string, CheckedTensor>): Packed {
  let bytes = 0
  const offsets = Array.from(inputs.values(), ({ data }) => {
    const offset = bytes
    if (ArrayBuffer.isView(data)) bytes += Math.ceil(data.byteLength / alignment) * alignment
    return offset
  })
  const pooled = pool.take(bytes)
  const packed = Array.from(inputs, ([name, { dtype, dims, data }], index): [string, CheckedTensor] => {
    if (!ArrayBuffer.isView(data)) return [name, { dtype, dims, data: data.slice() }]
    const offset = offsets[index] ?? 0
    new Uint8Array(pooled, offset).set(bytesOf(data))
    return [name, { dtype, dims, data: viewOf(dtype, pooled, offset, data.byteLength) }]
  })
  return { inputs: new Map(packed), buffers: [pooled], pooled }
}

/** The inputs of a call with `transfer`, where they are: they are ours already. */
export function takeInputs(inputs: ReadonlyMap<string, CheckedTensor>): Packed {
  const buffers = new Set<ArrayBuffer>()
  const taken = Array.from(inputs, ([name, { dtype, dims, data }]): [string, CheckedTensor] => {
    if (!ArrayBuffer.isView(data)) return [name, { dtype, dims, data }]
    const buffer = data.buffer as ArrayBuffer
    buffers.add(buffer)
    return [name, { dtype, dims, data: viewOf(dtype, buffer, data.byteOffset, data.byteLength) }]
  })
  return { inputs: new Map(taken), buffers: [...buffers] }
}

/** Lets the next call have the buffer. */
export function giveBack(pooled: ArrayBuffer | undefined): void {
  if (pooled) pool.give(pooled)
}
