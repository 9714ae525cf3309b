/** Buffers for inputs on their way to a worker: a fresh one per call would cost a page fault for every 4 KB of it. */
export interface BufferPool {
  /** A buffer of at least so many bytes, with any contents. */
  take(bytes: number): ArrayBuffer
  give(buffer: ArrayBuffer): void
}

const smallest = 4096

/** A pool that keeps up to `limit` bytes, in sizes that are powers of two. */
export function createBufferPool(limit: number): BufferPool {
  const free = new Map<number, ArrayBuffer[]>()
  let kept = 0
  return {
    take(bytes) {
      const size = Math.max(smallest, 2 ** Math.ceil(Math.log2(bytes)))
      const buffer = size > limit ? undefined : free.get(size)?.pop()
      if (!buffer) return new ArrayBuffer(size > limit ? bytes : size)
      kept -= size
      return buffer
    },
    give(buffer) {
      const size = buffer.byteLength
      if (kept + size > limit || size < smallest || !Number.isInteger(Math.log2(size))) return
      const list = free.get(size)
      if (list) list.push(buffer)
      else free.set(size, [buffer])
      kept += size
    },
  }
}
