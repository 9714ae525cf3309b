import { getHeapStatistics } from 'node:v8'
import { formatBytes } from '../text.ts'
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

// protobuf's own limits.
const deepest = 100
const longestMessage = 2 ** 31 - 1

// Far above any real graph, low enough that a hostile file does not hold the event loop for long.
const mostMemory = 1e9

// Bytes of memory that decoding takes, measured with a million of each: empty messages by their type, a number (64 bits
// are an object), the object around the bytes of an unknown field or of a string.
const costs = { number: 120, unknown: 160, text: 64, message: 200 } as const
const messageCosts: Partial<Record<MessageName, number>> = {
  TensorProto: 550,
  NodeProto: 300,
  AttributeProto: 450,
  GraphProto: 500,
  FunctionProto: 500,
}

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
  // Half of the heap that is left: what is made of the skeleton takes its part.
  const { heap_size_limit: heap, used_heap_size: used } = getHeapStatistics()
  const limit = Math.min(mostMemory, (heap - used) / 2)
  let memory = 0
  for (let frame = frames[0]; frame; frame = frames.at(-1)) {
    if (reader.at === frame.end) {
      frames.pop()
      leave(frame, frames.length, reader)
      continue
    }
    if (!reader.holds(reader.at + longestHeader)) await reader.load()
    const field = readField(reader, frame, frames.length > 1 ? 'message' : 'file')
    if (isWeight(field, frame)) once(frame, field)
    const isLeft = staysInFile(field, frame, inline)
    memory += isLeft ? costs.message : costOf(field)
    if (memory > limit) throw new WireError(tooLarge(limit), field.first, { excess: true })
    if (field.wire === delimited && field.row?.message) frames.push(enter(field.row.message, field, frames, reader))
    else if (isLeft) skip(field, reader)
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
  const row = fieldsOf(message).get(id)
  if (end > limit) {
    // Other files begin by chance like a field, but rarely like one of a model.
    const isCutOff = whole === 'file' && row?.message !== undefined && length <= longestMessage
    const problem = `a field of ${length} bytes runs past the end of its ${whole}`
    throw new WireError(problem, first, isCutOff ? { wholeSize: end } : {})
  }
  return { first, tag, id, wire, length, end, row }
}

function fixedLength(wire: number, offset: number): number {
  const length = [0, 8, undefined, undefined, undefined, 4][wire]
  if (length === undefined) throw new WireError(`a field has the wire type ${wire}`, offset)
  return length
}

function costOf({ wire, length, row }: Field): number {
  if (!row) return costs.unknown + length
  if (wire !== delimited) return costs.number
  if (row.message) return messageCosts[row.message] ?? costs.message
  return isNumeric(row) ? costs.number * length : costs.text + 2 * length
}

function tooLarge(limit: number): string {
  return `a structure that takes more than ${formatBytes(limit)} of memory besides its weights`
}

function isNumeric(row: FieldRow | undefined): boolean {
  return row !== undefined && !row.message && row.type !== 'string' && row.type !== 'bytes'
}

/** Begins the message in a field. The length of one that may be rewritten is written when it ends. */
function enter(message: MessageName, field: Field, frames: readonly Frame[], reader: WindowReader): Frame {
  const { first, tag, end } = field
  if (frames.length > deepest) throw new WireError(`messages nested more than ${deepest} deep`, first)
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

function isWeight({ wire, id }: Field, { message }: Frame): boolean {
  return wire === delimited && bulk[message]?.includes(id) === true
}

/** Whether the bytes of a field that is not a message are left in the file. */
function staysInFile(field: Field, frame: Frame, inline: number): boolean {
  const { wire, row, length } = field
  return wire === delimited && frame.rewritten && length > inline && (isWeight(field, frame) || !row)
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
