import { carriers, elsewhereField, type MessageName } from './proto-schema.ts'
import { encodeMessage, fieldHeader, type FieldRow, fieldsOf, int64 } from './proto.ts'
import { longestHeader, type Source, WindowReader, WireError } from './window.ts'

/** A message that is being read. */
interface Frame {
  readonly message: MessageName
  readonly end: number
  /** False while every enclosed byte is copied as it is. */
  readonly rewritten: boolean
  /** Bit set of the numbers of fields that may occur once and did. */
  seen: number
}

/** A field whose header was read. */
interface Field {
  /** Where its tag begins. */
  readonly first: number
  readonly tag: number
  readonly id: number
  readonly wire: number
  /** Bytes of its payload, and where they end. */
  readonly length: number
  readonly end: number
  /** Undefined for an unknown field. */
  readonly row: FieldRow | undefined
}

// Fields that hold weights: the data lists of a tensor and its raw_data; the lists of an attribute, and its string,
// where context nodes of some runtimes keep whole engines.
const bulk: Partial<Record<MessageName, readonly number[]>> = {
  TensorProto: [4, 5, 7, 9, 10, 11],
  AttributeProto: [4, 7, 8],
}

// Far above any real graph, low enough that a hostile file exhausts neither memory nor patience. `depth` is protobuf's
// own limit. A field that is a message or a string costs `object` fields, because that is what it costs in memory.
const limits = { depth: 100, fields: 32_000_000, object: 8 }

// The wire type of strings, bytes, messages and packed lists.
const delimited = 2

/**
 * Reads a model through a small window and returns its skeleton: the same message in which every weight field, and
 * every unknown field, of more than `inline` bytes is replaced by an `elsewhere` field with its number, and the place
 * of its bytes in the file. Skipped bytes are never read.
 *
 * @throws WireError for bytes that are not a protobuf message of the schema
 */
export async function skim(source: Source, inline: number): Promise<Uint8Array> {
  const reader = new WindowReader(source)
  const frames: Frame[] = [{ message: 'ModelProto', end: source.size, rewritten: true, seen: 0 }]
  let fields = 0
  for (let frame = frames[0]; frame; frame = frames.at(-1)) {
    if (reader.at === frame.end) {
      frames.pop()
      leave(frame, frames.length, reader)
      continue
    }
    if (!reader.holds(reader.at + longestHeader)) await reader.load()
    const field = readField(reader, frame, frames.length > 1 ? 'message' : 'file')
    fields += costOf(field)
    if (fields > limits.fields) throw new WireError('millions of fields besides its weights', field.first, true)
    if (field.wire === delimited && field.row?.message) frames.push(enter(field.row.message, field, frames, reader))
    else if (staysInFile(field, frame, inline)) skip(field, reader)
    else if (reader.holds(field.end)) reader.at = field.end
    else await reader.passUntil(field.end)
  }
  return reader.writer.finish()
}

function readField(reader: WindowReader, { message, end: limit }: Frame, whole: string): Field {
  const first = reader.at
  const tag = reader.varint(limit)
  const id = Math.floor(tag / 8)
  const wire = tag % 8
  if (id === 0 || id >= 2 ** 29 || id === elsewhereField) throw new WireError(`a field has the number ${id}`, first)
  const length = wire === delimited ? reader.varint(limit) : fixedLength(wire, first)
  if (wire === 0) reader.varint(limit)
  const end = reader.at + length
  if (end > limit) throw new WireError(`a field of ${length} bytes runs past the end of its ${whole}`, first)
  return { first, tag, id, wire, length, end, row: fieldsOf(message).get(id) }
}

function fixedLength(wire: number, offset: number): number {
  const length = [0, 8, undefined, undefined, undefined, 4][wire]
  if (length === undefined) throw new WireError(`a field has the wire type ${wire}`, offset)
  return length
}

function costOf({ wire, length, row }: Field): number {
  if (wire !== delimited) return 1
  return isNumeric(row) ? length : limits.object
}

function isNumeric(row: FieldRow | undefined): boolean {
  return row !== undefined && !row.message && row.type !== 'string' && row.type !== 'bytes'
}

/** Begins the message in a field. The length of one that may be rewritten is written when it ends. */
function enter(message: MessageName, field: Field, frames: readonly Frame[], reader: WindowReader): Frame {
  const { first, tag, end } = field
  if (frames.length > limits.depth) throw new WireError(`messages nested more than ${limits.depth} deep`, first)
  if (!field.row?.repeated) once(frames.at(-1)!, field)
  const rewritten = carriers.has(message)
  if (rewritten) {
    reader.copyUntil(first)
    reader.writer.uint32(tag).fork()
  }
  return { message, end, rewritten, seen: 0 }
}

/** Ends a message inside `depth` others. */
function leave({ rewritten }: Frame, depth: number, reader: WindowReader): void {
  if (!rewritten) return
  reader.copyUntil(reader.at)
  if (depth > 0) reader.writer.ldelim()
}

/** Whether the bytes of a field that is not a message are left in the file. */
function staysInFile(field: Field, frame: Frame, inline: number): boolean {
  if (field.wire !== delimited) return false
  const isWeight = bulk[frame.message]?.includes(field.id) === true
  if (isWeight) once(frame, field)
  return frame.rewritten && field.length > inline && (isWeight || !field.row)
}

function skip({ first, id, length, end }: Field, reader: WindowReader): void {
  reader.copyUntil(first)
  const entry = encodeMessage('ElsewhereProto', { field: id, offset: int64(reader.at), length: int64(length) })
  reader.writer.raw(fieldHeader(elsewhereField, entry.length)).raw(entry)
  reader.skipUntil(end)
}

// protobuf would merge two of them, and readers differ in how.
function once(frame: Frame, { id, row, first }: Field): void {
  if (frame.seen & (1 << id))
    throw new WireError(`the field ${row?.name ?? ''} occurs twice in one ${frame.message}`, first)
  frame.seen |= 1 << id
}
