import type { ErrorRecord } from '../errors.ts'
import type { Model } from '../types.ts'

export interface BridgeOptions {
  /** Name of the IPC channel, the same on both sides; every model needs its own. Default: 'unplugin-onnx'. */
  readonly channel?: string | undefined
}

/** What a model is, as plain data. `variant` is known after load(). */
export type ModelFacts = Pick<Model, 'name' | 'bindings' | 'variant'>

/** From a window to the main process. */
export interface BridgeRequest {
  /** Numbers the calls of one connection, from 1. */
  readonly id: number
  readonly call: 'load' | 'infer' | 'abort'
  readonly inputs?: unknown
}

/** From the main process to a window. The first one comes by itself, with the id 0 and the facts of the model. */
export type BridgeReply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: ErrorRecord }
  | { readonly id: 'end'; readonly error: ErrorRecord }

export const defaultChannel = 'unplugin-onnx'

/**
 * Tensors with data that holds their own elements and nothing else: a clone of a view takes its whole buffer along, and
 * shared memory cannot cross between processes. What is no plain object of tensors stays as it is, for infer() to
 * refuse.
 */
export function ownData(tensors: unknown): unknown {
  if (!isPlain(tensors)) return tensors
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]: [string, unknown]) => [
      name,
      isPlain(tensor) && 'data' in tensor ? { ...tensor, data: owned(tensor.data) } : owned(tensor),
    ]),
  )
}

const { slice } = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array

function owned(data: unknown): unknown {
  if (!ArrayBuffer.isView(data) || data instanceof DataView) return data
  const whole =
    Object.prototype.toString.call(data.buffer) === '[object ArrayBuffer]' && data.byteLength === data.buffer.byteLength
  // Not the method of the view itself: that of a Buffer makes another view.
  return whole ? data : slice.call(data)
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}
