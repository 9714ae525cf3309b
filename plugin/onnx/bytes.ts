import { open } from 'node:fs/promises'
import { OnnxEngineError } from '../../runtime/errors.ts'

/** Raw little-endian bytes of a tensor, a piece at a time, so that weights are never all in memory. */
export interface Content {
  readonly length: number
  /**
   * One pass over the bytes. Each piece starts at an address that any typed array accepts and consists of whole
   * elements. It is valid until the next piece is requested.
   */
  pieces(): AsyncIterable<Uint8Array>
}

// A multiple of every element size, and of the 8 elements that share bytes.
const pieceLength = 2 ** 20

/** Bytes in memory. */
export function bytesContent(bytes: Uint8Array): Content {
  return {
    length: bytes.length,
    async *pieces() {
      // Not `slice`, which makes no copy of a Buffer.
      yield bytes.byteOffset % 16 === 0 ? bytes : new Uint8Array(bytes)
    },
  }
}

/** Bytes of a file, read on demand. Throws EXTERNAL_DATA when the file became shorter. */
export function fileContent({ file, offset, length }: ByteRange): Content {
  return {
    length,
    async *pieces() {
      const handle = await open(file)
      const size = Math.min(pieceLength, length)
      const fill = async (buffer: Uint8Array, start: number): Promise<Uint8Array> => {
        const piece = buffer.subarray(0, Math.min(size, length - start))
        for (let at = 0; at < piece.length;) {
          const { bytesRead } = await handle.read(piece, at, piece.length - at, offset + start + at)
          if (bytesRead === 0) throw shortened(file, offset + length)
          at += bytesRead
        }
        return piece
      }
      // The next piece is read while the caller works on this one.
      let next = new Uint8Array(size)
      let spare = new Uint8Array(length > size ? size : 0)
      let reading: Promise<Uint8Array> | undefined
      try {
        reading = length > 0 ? fill(next, 0) : undefined
        for (let done = 0; reading;) {
          const piece: Uint8Array = await reading
          done += piece.length
          const current = next
          next = spare
          spare = current
          reading = done < length ? fill(next, done) : undefined
          // Its error is thrown when the caller requests the piece.
          reading?.catch(() => {})
          yield piece
        }
      } finally {
        await reading?.catch(() => {})
        await handle.close()
      }
    },
  }
}

/** All bytes of a content, in new memory. */
export async function readContent(content: Content): Promise<Uint8Array> {
  const bytes = new Uint8Array(content.length)
  let at = 0
  for await (const piece of content.pieces()) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

function shortened(file: string, size: number): OnnxEngineError {
  return new OnnxEngineError('EXTERNAL_DATA', file, {
    expected: `${size} bytes`,
    received: 'a file that became shorter',
  })
}

/** A byte range of a file. */
export interface ByteRange {
  /** Absolute path. */
  readonly file: string
  readonly offset: number
  readonly length: number
}
