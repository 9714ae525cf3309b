import type { Content } from '../../onnx/bytes.ts'
import { type ValueRange, type HalfDType, halfLimits, rangeOf, roundToHalf } from './rounding.ts'

/** Bytes of float32 below which a Cast node takes as many bytes as it saves. */
export const smallest = 1024

/** Why values of this range do not fit into a dtype; undefined when they do. */
export function misfit({ largest, special }: ValueRange, dtype: HalfDType): string | undefined {
  const { overflow, normal } = halfLimits[dtype]
  if (special) return 'holds NaN or infinity'
  if (largest >= overflow) return `holds ${largest.toPrecision(3)}, beyond the range of ${dtype}`
  if (largest > 0 && largest < normal) return `holds nothing above ${largest.toPrecision(3)}, too small for ${dtype}`
  return undefined
}

/** The range of the float32 values of a content. */
export async function contentRange(content: Content): Promise<ValueRange> {
  let range: ValueRange | undefined
  for await (const piece of content.pieces()) range = rangeOf(floats(piece), range)
  return range ?? { largest: 0, special: false }
}

/** The float32 values of a content, rounded. */
export function halfContent(content: Content, dtype: HalfDType): Content {
  return {
    length: content.length / 2,
    async *pieces() {
      let halves = new Uint16Array(0)
      for await (const piece of content.pieces()) {
        const values = floats(piece)
        if (halves.length < values.length) halves = new Uint16Array(values.length)
        yield new Uint8Array(roundToHalf[dtype](values, halves).buffer, 0, values.length * 2)
      }
    },
  }
}

function floats({ buffer, byteOffset, byteLength }: Uint8Array): Float32Array {
  return new Float32Array(buffer, byteOffset, byteLength / 4)
}
