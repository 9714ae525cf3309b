import protobuf from 'protobufjs'

/** A file that can be read at a position. `read` returns the number of bytes read, 0 past the end. */
export interface Source {
  readonly size: number
  read(into: Uint8Array, position: number): Promise<number>
}

/** What is wrong beyond the bytes themselves. */
export interface WireFault {
  /** They may be a model, but there are more of them than we read. */
  readonly excess?: boolean
  /** They begin like a model whose file has this many bytes, which are more than there are. */
  readonly wholeSize?: number
}

/** The bytes are not the wire format of a model. */
export class WireError extends Error {
  /** The place in the file. */
  readonly offset: number
  readonly fault: WireFault

  constructor(problem: string, offset: number, fault: WireFault = {}) {
    super(problem)
    this.offset = offset
    this.fault = fault
  }
}

// After each skipped tensor the next header is a few dozen bytes; a long run of nodes is read in growing steps.
const steps = { first: 512, last: 256 * 1024 }

/** Bytes of a tag and a length, each a varint of at most 10 bytes. */
export const longestHeader = 20

// Far above any real graph, low enough that a hostile file exhausts neither memory nor patience.
const longestSkeleton = 256 * 2 ** 20

/**
 * Reads the wire format through a small window that moves forward over a file, and copies the bytes that are kept into
 * `writer`. Bytes that are skipped are never read.
 */
export class WindowReader {
  readonly writer: protobuf.Writer = protobuf.Writer.create()
  /** The position in the file. */
  at = 0
  // The window holds the bytes from `start` to `stop`. Those from `kept` to `at` are copied when others follow.
  readonly #source: Source
  readonly #window: Uint8Array
  #start = 0
  #stop = 0
  #step = steps.first / 2
  #kept = 0
  #copied = 0

  constructor(source: Source) {
    this.#source = source
    this.#window = new Uint8Array(Math.min(steps.last, source.size))
  }

  /** Whether the window reaches this position, or the end of the file. */
  holds(end: number): boolean {
    return end <= this.#stop || this.#stop === this.#source.size
  }

  /** Moves the window on, so that it begins at the position and holds the header of the next field. */
  async load(): Promise<void> {
    this.copyUntil(this.at)
    this.#step = this.at > this.#stop ? steps.first : Math.min(this.#step * 2, steps.last)
    this.#start = this.at
    this.#stop = this.at
    const enough = Math.min(longestHeader, this.#source.size - this.at)
    while (this.#stop - this.#start < enough) {
      const count = await this.#source.read(this.#window.subarray(this.#stop - this.#start, this.#step), this.#stop)
      if (count === 0) throw new WireError('the file became shorter while it was read', this.#stop)
      this.#stop += count
    }
  }

  /** Moves to `end`, with as many windows as it takes, and keeps the bytes on the way. */
  async passUntil(end: number): Promise<void> {
    while (end > this.#stop) {
      this.at = this.#stop
      await this.load()
    }
    this.at = end
  }

  /** Reads a number. It must be in the window, and in the message, which ends at `end`. */
  varint(end: number): number {
    const first = this.at
    let result = 0
    // Not a shift: JavaScript shifts 32 bits.
    let scale = 1
    let byte: number
    do {
      if (this.at === end) throw new WireError('a number is cut off', first)
      if (this.at - first === 10) throw new WireError('a number has more than 64 bits', first)
      byte = this.#window[this.at - this.#start] ?? 0
      this.at += 1
      result += (byte & 127) * scale
      scale *= 128
    } while (byte >= 128)
    return result
  }

  /** Moves to `end` and leaves out the bytes up to it. */
  skipUntil(end: number): void {
    this.at = end
    this.#kept = end
  }

  /** Copies what is kept before `end`, and leaves out the bytes from there to the position. */
  copyUntil(end: number): void {
    const length = end - this.#kept
    if (length > 0) this.writer.raw(this.#window.slice(this.#kept - this.#start, end - this.#start))
    this.#copied += length
    if (this.#copied > longestSkeleton)
      throw new WireError(`more than ${longestSkeleton / 2 ** 20} MiB besides its weights`, end, { excess: true })
    this.#kept = this.at
  }
}
