import { elementCount } from '../../../runtime/dtype.ts'
import type { Content } from '../../onnx/bytes.ts'

/** The channels along one axis of a tensor, in the order of its elements. */
export interface Channels {
  readonly count: number
  /** Consecutive elements of one channel. */
  readonly inner: number
}

export function channelsAlong(dims: readonly number[], axis: number): Channels {
  return { count: dims[axis] ?? 1, inner: elementCount(dims.slice(axis + 1)) }
}

/**
 * Float32 elements, a piece at a time, each with its channel. Both arrays are valid until the next piece is requested.
 */
export async function* channelPieces(
  content: Content,
  { count, inner }: Channels,
): AsyncGenerator<{ values: Float32Array; channels: Int32Array }> {
  let offset = 0
  for await (const { buffer, byteOffset, byteLength } of content.pieces()) {
    const values = new Float32Array(buffer, byteOffset, byteLength / 4)
    const channels = new Int32Array(values.length)
    let channel = Math.floor(offset / inner) % count
    let left = inner - (offset % inner)
    for (let index = 0; index < channels.length; index++) {
      channels[index] = channel
      if (--left > 0) continue
      left = inner
      channel = channel + 1 === count ? 0 : channel + 1
    }
    offset += values.length
    yield { values, channels }
  }
}

/** The largest magnitude in each channel; NaN where a channel holds one. */
export async function largestOf(content: Content, channels: Channels): Promise<Float64Array> {
  const largest = new Float64Array(channels.count)
  for await (const piece of channelPieces(content, channels)) {
    piece.values.forEach((value, index) => {
      const channel = piece.channels[index]!
      const magnitude = Math.abs(value)
      if (!(magnitude <= largest[channel]!)) largest[channel] = magnitude
    })
  }
  return largest
}

/** A content whose elements are multiplied by a factor for each channel. */
export function scaledContent(content: Content, channels: Channels, factors: Float64Array): Content {
  return {
    length: content.length,
    async *pieces() {
      for await (const piece of channelPieces(content, channels)) {
        const scaled = piece.values.map((value, index) => value * factors[piece.channels[index]!]!)
        yield new Uint8Array(scaled.buffer)
      }
    },
  }
}

/**
 * The elements in int8, symmetric: in multiples of the channel's scale, rounded to the nearest, ties to even, clamped
 * to 127.
 */
export function int8Content(content: Content, channels: Channels, scales: Float32Array): Content {
  return {
    length: content.length / 4,
    async *pieces() {
      for await (const piece of channelPieces(content, channels)) {
        const rounded = new Int8Array(piece.values.length)
        piece.values.forEach((value, index) => {
          rounded[index] = Math.max(-127, Math.min(127, roundEven(value / scales[piece.channels[index]!]!)))
        })
        yield new Uint8Array(rounded.buffer)
      }
    },
  }
}

/** Rounds to the nearest whole number, ties to even, as QuantizeLinear does. */
export function roundEven(value: number): number {
  const rounded = Math.round(value)
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}
