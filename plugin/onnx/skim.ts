import protobuf from 'protobufjs'
import {
  carriers,
  elsewhereField,
  encodeMessage,
  fieldHeader,
  type FieldRow,
  fieldsOf,
  int64,
  type MessageName,
} from './proto.ts'

/** A file that can be read at a position. `read` gives the number of bytes read, 0 past the end. */
export interface Source {
  readonly size: number
  read(into: Uint8Array, position: number): Promise<number>
}

/**
 * The bytes are not the wire format of a model; `offset` is where. `excess`: they may be, but are more than we read.
 */
export class WireError extends Error {
  readonly offset: number
  readonly excess: boolean

  constructor(problem: string, offset: number, excess = false) {
    super(problem)
    this.offset = offset
    this.excess = excess
  }
}

interface Frame {
  readonly message: MessageName
  readonly end: number
  /** False while every enclosed byte is copied as it is. */
  readonly rewritten: boolean
  /** Bit set of the numbers of fields that may occur once and did. */
  seen: number
}

// Fields that hold weights: the data lists of a tensor and its raw_data; the lists of an attribute, and its string,
// where context nodes of some runtimes keep whole engines.
const bulk: Partial<Record<MessageName, readonly number[]>> = {
  TensorProto: [4, 5, 7, 9, 10, 11],
  AttributeProto: [4, 7, 8],
}

// Far above any real graph, low enough that a hostile file exhausts neither memory nor patience. `depth` is protobuf's
// own limit. A field that is a message or a string costs `object` fields, because that is what it costs in memory.
const limits = { depth: 100, fields: 32_000_000, object: 8, bytes: 256 * 2 ** 20 }

// After each skipped tensor the next header is a few dozen bytes; a long run of nodes is read in growing steps.
const steps = { first: 512, last: 256 * 1024 }

// A tag and a length, each a varint of at most 10 bytes.
const header = 20

/**
 * Reads a model through a small window and gives its skeleton: the same message in which every weight field, and every
 * unknown field, of more than `inline` bytes is replaced by an `elsewhere` field that tells its number and where its
 * bytes lie in the file. Skipped bytes are never read. Throws WireError for what is not a protobuf message of the
 * schema.
 */
export async function skim(source: Source, inline: number): Promise<Uint8Array> {
  const writer = protobuf.Writer.create()
  const window = new Uint8Array(Math.min(steps.last, source.size))
  let [start, stop, step] = [0, 0, steps.first / 2]
  // Bytes from `kept` to `at` go into the skeleton as they are, as soon as something else follows.
  let [at, kept, fields, bytes] = [0, 0, 0, 0]
  const frames: Frame[] = [{ message: 'ModelProto', end: source.size, rewritten: true, seen: 0 }]

  function flush(until: number): void {
    if (until > kept) writer.raw(window.slice(kept - start, until - start))
    bytes += until - kept
    if (bytes > limits.bytes)
      throw new WireError(`more than ${limits.bytes / 2 ** 20} MiB besides its weights`, until, true)
    kept = until
  }

  async function fill(): Promise<void> {
    flush(at)
    step = at > stop ? steps.first : Math.min(step * 2, steps.last)
    start = stop = at
    const enough = Math.min(header, source.size - at)
    while (stop - start < enough) {
      const count = await source.read(window.subarray(stop - start, step), stop)
      if (count === 0) throw new WireError('the file became shorter while it was read', stop)
      stop += count
    }
  }

  function varint(end: number): number {
    let value = 0
    for (let scale = 1, first = at; ; scale *= 128) {
      if (at === end) throw new WireError('a number is cut off', first)
      if (at - first === 10) throw new WireError('a number has more than 64 bits', first)
      const byte = window[at++ - start] ?? 0
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }

  for (let frame = frames[0]; frame;) {
    if (at === frame.end) {
      frames.pop()
      if (frame.rewritten) {
        flush(at)
        if (frames.length > 0) writer.ldelim()
      }
      frame = frames.at(-1)
      continue
    }
    if (at + header > stop && stop < source.size) await fill()
    const first = at
    const tag = varint(frame.end)
    const [id, wire] = [Math.floor(tag / 8), tag % 8]
    if (id === 0 || id >= 2 ** 29 || id === elsewhereField) throw new WireError(`a field has the number ${id}`, first)
    const length = wire === 2 ? varint(frame.end) : fixedLength(wire, first)
    const end = wire === 0 ? (varint(frame.end), at) : at + length
    const whole = frames.length > 1 ? 'message' : 'file'
    if (end > frame.end) throw new WireError(`a field of ${length} bytes runs past the end of its ${whole}`, first)
    const row = fieldsOf(frame.message).get(id)
    fields += wire !== 2 ? 1 : isNumeric(row) ? length : limits.object
    if (fields > limits.fields) throw new WireError('millions of fields besides its weights', first, true)
    if (wire !== 2) {
      await keepUntil(end)
    } else if (row?.message) {
      if (frames.length > limits.depth) throw new WireError(`messages nested more than ${limits.depth} deep`, first)
      if (!row.repeated) once(frame, id, row.name, first)
      const rewritten = carriers.has(row.message)
      if (rewritten) {
        flushBefore(first)
        writer.uint32(tag).fork()
      }
      frame = { message: row.message, end, rewritten, seen: 0 }
      frames.push(frame)
    } else {
      const heavy = bulk[frame.message]?.includes(id)
      if (heavy) once(frame, id, row?.name ?? '', first)
      if (frame.rewritten && length > inline && (heavy || !row)) {
        flushBefore(first)
        const entry = encodeMessage('ElsewhereProto', { field: id, offset: int64(at), length: int64(length) })
        writer.raw(fieldHeader(elsewhereField, entry.length)).raw(entry)
        kept = at = end
      } else {
        await keepUntil(end)
      }
    }
  }
  return writer.finish()

  // What precedes a field's header is kept; the header itself is written anew.
  function flushBefore(first: number): void {
    flush(first)
    kept = at
  }

  async function keepUntil(end: number): Promise<void> {
    while (end > stop) {
      at = stop
      await fill()
    }
    at = end
  }
}

function fixedLength(wire: number, offset: number): number {
  const length = [0, 8, undefined, undefined, undefined, 4][wire]
  if (length === undefined) throw new WireError(`a field has the wire type ${wire}`, offset)
  return length
}

function isNumeric(row: FieldRow | undefined): boolean {
  return row !== undefined && !row.message && row.type !== 'string' && row.type !== 'bytes'
}

// protobuf would merge two of them, and readers differ in how.
function once(frame: Frame, id: number, name: string, offset: number): void {
  if (frame.seen & (1 << id)) throw new WireError(`the field ${name} occurs twice in one ${frame.message}`, offset)
  frame.seen |= 1 << id
}
