import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { openRegular } from './regular-file.ts'

/** A part of a file, in bytes. */
export interface Segment {
  readonly offset: number
  readonly length: number
}

/** SHA-256 of a file, and of the file without these segments. The file is read once, in pieces. */
export async function hashAround(
  file: string,
  segments: readonly Segment[],
): Promise<{ readonly whole: string; readonly around: string }> {
  const whole = createHash('sha256')
  const around = createHash('sha256')
  const holes = union(segments)
  await withFile(file, async (handle) => {
    let next = 0
    for await (const { offset, bytes } of pieces(handle, 0, Infinity)) {
      whole.update(bytes)
      const end = offset + bytes.length
      let from = offset
      for (; next < holes.length; next++) {
        const hole = holes[next]!
        if (hole.offset >= end) break
        if (hole.offset > from) around.update(bytes.subarray(from - offset, hole.offset - offset))
        from = Math.max(from, Math.min(end, hole.offset + hole.length))
        if (hole.offset + hole.length > end) break
      }
      if (from < end) around.update(bytes.subarray(from - offset))
    }
  })
  return { whole: whole.digest('hex'), around: around.digest('hex') }
}

/** SHA-256 of a file. */
export async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256')
  await withFile(file, async (handle) => {
    for await (const { bytes } of pieces(handle, 0, Infinity)) hash.update(bytes)
  })
  return hash.digest('hex')
}

/**
 * SHA-256 of the segments of a file and their offsets. Segments that touch or overlap count as one, so that a range is
 * read once even when a model refers to it many times. `undefined` when the file ends before a segment does.
 */
export async function hashSegments(file: string, segments: readonly Segment[]): Promise<string | undefined> {
  const hash = createHash('sha256')
  const complete = await withFile(file, async (handle) => {
    for (const { offset, length } of union(segments)) {
      hash.update(`${offset}+${length};`)
      let seen = 0
      for await (const { bytes } of pieces(handle, offset, offset + length)) {
        hash.update(bytes)
        seen += bytes.length
      }
      if (seen < length) return false
    }
    return true
  })
  return complete ? hash.digest('hex') : undefined
}

const pieceSize = 1 << 20

interface Piece {
  readonly offset: number
  /** Valid until the next piece is requested. */
  readonly bytes: Uint8Array
}

// Reads the next piece while the caller hashes this one: two buffers, whatever the size of the file.
async function* pieces(handle: FileHandle, start: number, end: number): AsyncGenerator<Piece> {
  const size = Math.min(pieceSize, end - start)
  let current = Buffer.allocUnsafe(size)
  let spare = Buffer.allocUnsafe(size)
  const read = (into: Buffer, at: number) => handle.read(into, 0, Math.max(0, Math.min(into.length, end - at)), at)
  let offset = start
  let pending = read(current, offset)
  for (;;) {
    const { bytesRead } = await pending
    if (bytesRead === 0) return
    pending = read(spare, offset + bytesRead)
    // A caller that stops early must not leave an unhandled rejection behind.
    pending.catch(() => {})
    yield { offset, bytes: current.subarray(0, bytesRead) }
    offset += bytesRead
    const next = spare
    spare = current
    current = next
  }
}

function union(segments: readonly Segment[]): readonly Segment[] {
  const merged: Segment[] = []
  for (const { offset, length } of [...segments].sort((a, b) => a.offset - b.offset)) {
    const last = merged.at(-1)
    if (last && offset <= last.offset + last.length) {
      merged[merged.length - 1] = { offset: last.offset, length: Math.max(last.length, offset + length - last.offset) }
    } else if (length > 0) {
      merged.push({ offset, length })
    }
  }
  return merged
}

async function withFile<T>(file: string, action: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await openRegular(file)
  try {
    return await action(handle)
  } finally {
    await handle.close()
  }
}
