import type { ErrorRecord } from '../errors.ts'
import type { Model } from '../types.ts'

export interface BridgeOptions {
  /** Name of the IPC channel, the same on both sides. Every model needs its own. Default: 'unplugin-onnx'. */
  readonly channel?: string | undefined
}

/** What a model is, as plain data. `variant` is undefined until the model is loaded. */
export type ModelFacts = Pick<Model, 'name' | 'bindings' | 'variant'>

/** A message from a window to the main process. */
export interface BridgeRequest {
  /** Numbers the calls of one connection, from 1. */
  readonly id: number
  readonly call: 'load' | 'infer' | 'abort'
  readonly inputs?: unknown
}

/** A message from the main process to a window. The first one has the id 0 and the model's facts. */
export type BridgeReply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: ErrorRecord }
  | { readonly id: 'end'; readonly error: ErrorRecord }

export const defaultChannel = 'unplugin-onnx'

/**
 * Tensors whose data contains their own elements and nothing else: cloning a view clones its whole buffer, and shared
 * memory cannot cross between processes. Anything but a plain object of tensors stays as it is: infer() refuses it.
 */
export function ownData(tensors: unknown): unknown {
  if (!isPlain(tensors)) return tensors
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]: [string, unknown]) => [
      name,
      isPlain(tensor) && 'data' in tensor ? { ...tensor, data: ownElements(tensor.data) } : ownElements(tensor),
    ]),
  )
}

const { slice } = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array

function ownElements(data: unknown): unknown {
  if (!ArrayBuffer.isView(data) || data instanceof DataView) return data
  const whole =
    Object.prototype.toString.call(data.buffer) === '[object ArrayBuffer]' && data.byteLength === data.buffer.byteLength
  // Not the view's own method: that of a Buffer returns a view of the same memory.
  return whole ? data : slice.call(data)
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}
