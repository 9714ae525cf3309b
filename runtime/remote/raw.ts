import { dtypes, type DType } from '../dtype.ts'
import { OnnxEngineError } from '../errors.ts'
import type { CheckedTensor } from '../session.ts'
import { bytesOf, viewOf } from '../tensor-memory.ts'

/**
 * The elements as raw bytes of the protocol: little-endian, row by row, a bool in one byte, and each string as its
 * length in 4 bytes and then its UTF-8 bytes. Throws INPUT_INVALID for strings that UTF-8 cannot hold.
 */
export function toRaw(subject: string, { data }: CheckedTensor): Uint8Array {
  if (ArrayBuffer.isView(data)) return bytesOf(data)
  data.forEach((text, index) => refuseLoneSurrogate(subject, text, index))
  const texts = data.map((text) => Buffer.from(text))
  return Buffer.concat(
    texts.flatMap((text) => {
      const length = Buffer.alloc(4)
      length.writeUInt32LE(text.length)
      return [length, text]
    }),
  )
}

/** The elements of an output from raw bytes, in an array of its own; a text says why the bytes are wrong. */
export function fromRaw(dtype: DType, count: number, bytes: Uint8Array): CheckedTensor['data'] | string {
  if (dtype === 'string') return stringsOf(count, bytes)
  const wanted = (count * dtypes[dtype].bits) / 8
  if (bytes.byteLength !== wanted) return `${bytes.byteLength} bytes instead of ${wanted}`
  // Not slice(): that of a Buffer is a view of the whole message.
  const own = new Uint8Array(bytes)
  return viewOf(dtype, own.buffer, 0, wanted)
}

/** Throws INPUT_INVALID: UTF-8 would replace half of a surrogate pair silently. */
export function refuseLoneSurrogate(subject: string, text: string, index: number): void {
  if (!/\p{Surrogate}/u.test(text)) return
  throw new OnnxEngineError('INPUT_INVALID', subject, {
    expected: 'well-formed strings',
    received: `a lone surrogate in the one at index ${index}`,
  })
}

/** UTF-8 bytes as text; undefined for other bytes. */
export function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

function stringsOf(count: number, bytes: Uint8Array): readonly string[] | string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const texts: string[] = []
  let offset = 0
  while (offset < bytes.byteLength && texts.length < count) {
    const start = offset + 4
    const end = start > bytes.byteLength ? start : start + view.getUint32(offset, true)
    if (end > bytes.byteLength) return `a string of which only a part arrived, at index ${texts.length}`
    const text = utf8(bytes.subarray(start, end))
    if (text === undefined) return `a string that is not UTF-8, at index ${texts.length}`
    texts.push(text)
    offset = end
  }
  if (texts.length !== count || offset !== bytes.byteLength)
    return `${bytes.byteLength} bytes that do not hold ${count} strings`
  return texts
}
