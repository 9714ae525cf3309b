import { elementCount } from '../../../runtime/dtype.ts'
import type { Content } from '../../onnx/bytes.ts'
import { viewElements } from '../../onnx/content.ts'
import type { TensorType } from '../../onnx/tensor.ts'

/** uint8 less 128, as int8: the first bit is the other one. */
export function shifted(content: Content): Content {
  return mapped(content, 1, (bytes) => bytes.map((byte) => byte ^ 0x80))
}

/** Numbers of 4 bits less 8, two in a byte: the first bit of each is the other one. */
export function shiftedNibbles(content: Content): Content {
  return mapped(content, 1, (bytes) => bytes.map((byte) => byte ^ 0x88))
}

/** How integers become floats: one scale and zero point for all, or for each place. */
export interface Dequantization {
  readonly scales: readonly number[]
  readonly zeros: readonly number[]
  /** The index of the scale for the element at an index. */
  readonly place: (at: number) => number
}

/** A scale for each place along an axis. */
export function alongAxis(dims: readonly number[], axis: number): Dequantization['place'] {
  const inner = elementCount(dims.slice(axis + 1))
  const length = dims[axis] ?? 1
  return (at) => Math.floor(at / inner) % length
}

/** (integer - zero point) * scale, in fp32 as ONNX Runtime computes it. */
export function dequantized(
  content: Content,
  dtype: TensorType['dtype'],
  { scales, zeros, place }: Dequantization,
): Content {
  const pick = (list: readonly number[], at: number) => list[list.length === 1 ? 0 : place(at)]!
  const width = dtype === 'int32' ? 4 : 1
  let done = 0
  return {
    length: (content.length / width) * 4,
    async *pieces() {
      done = 0
      for await (const piece of content.pieces()) {
        const integers = viewElements(dtype, piece) as Int32Array | Int8Array | Uint8Array
        const floats = new Float32Array(integers.length)
        for (const [at, integer] of integers.entries())
          floats[at] = Math.fround(integer - pick(zeros, done + at)) * pick(scales, done + at)
        done += integers.length
        yield new Uint8Array(floats.buffer)
      }
    },
  }
}

function mapped(content: Content, factor: number, map: (bytes: Uint8Array) => Uint8Array): Content {
  return {
    length: content.length * factor,
    async *pieces() {
      for await (const piece of content.pieces()) yield map(piece)
    },
  }
}
