import { randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import protobuf from 'protobufjs'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Content } from './bytes.ts'
import { entryContent } from './content.ts'
import type { EditableModel } from './graph.ts'
import { carriers, elsewhereField, type MessageName } from './proto-schema.ts'
import { decodeMessage, encodeMessage, fieldHeader, fieldsOf, type Message, newMessage } from './proto.ts'

// The longest protobuf message; ONNX Runtime cannot read a longer file.
const longest = 2 ** 31 - 1

// Offsets at which ONNX Runtime maps large weights into memory instead of reading them (the allocation granularity of
// Windows).
const alignment = { mapped: 2 ** 16, other: 64 }

type Segment = Uint8Array | Content

/** Whole fields of a message; `id` is the number of the first. */
interface EncodedFields {
  readonly id: number
  readonly segments: readonly Segment[]
}

/** Returns what is written for an `elsewhere` field of a message. */
type Replace = (message: MessageName, entry: Message<'ElsewhereProto'>) => EncodedFields

/**
 * Writes a model. Weights are copied a piece at a time from their files. They go into `FILE.data` when the source had
 * external data, or when the model would be longer than protobuf allows; otherwise into the file itself. Each file
 * appears whole or not at all. The files that the model was read from must not have changed since.
 *
 * @param limit length in bytes above which weights are external
 */
export async function writeGraph(model: EditableModel, file: string, limit = longest): Promise<void> {
  const skeleton = encodeMessage('ModelProto', model.proto)
  const inside = expand('ModelProto', skeleton, (_, entry) => inline(model, entry)) ?? [skeleton]
  if (!model.external && lengthOf(inside) <= limit) return writeWhole(file, inside)
  const data: Segment[] = []
  const outside = expand('ModelProto', skeleton, moveOutside(model, `${basename(file)}.data`, data)) ?? [skeleton]
  if (lengthOf(outside) > longest) {
    throw new OnnxEngineError('MODEL_UNSUPPORTED', model.file, {
      expected: 'less than 2 GiB besides its weights',
      received: `${lengthOf(outside)} bytes`,
    })
  }
  if (data.length > 0) await writeWhole(`${file}.data`, data)
  await writeWhole(file, outside)
}

function inline(model: EditableModel, entry: Message<'ElsewhereProto'>): EncodedFields {
  const content = entryContent(model, entry)
  return { id: entry.field, segments: [fieldHeader(entry.field, content.length), content] }
}

// Only raw data can be external; typed lists and long attributes stay.
function moveOutside(model: EditableModel, location: string, data: Segment[]): Replace {
  // Tensors may share their bytes.
  const offsets = new Map<number, number>()
  let end = 0
  return (message, entry) => {
    if (message !== 'TensorProto' || entry.field !== 9) return inline(model, entry)
    const content = entryContent(model, entry)
    const step = content.length >= alignment.mapped ? alignment.mapped : alignment.other
    const offset = (entry.source > 0 ? offsets.get(entry.source) : undefined) ?? Math.ceil(end / step) * step
    if (offset >= end) {
      data.push(new Uint8Array(offset - end), content)
      end = offset + content.length
      offsets.set(entry.source, offset)
    }
    const externalData = Object.entries({ location, offset, length: content.length }).map(([key, value]) =>
      newMessage('StringStringEntryProto', { key, value: String(value) }),
    )
    return { id: 13, segments: [encodeMessage('TensorProto', { externalData, dataLocation: 1 })] }
  }
}

// The wire bytes of a message in which every `elsewhere` field is replaced, and with it the lengths of all messages
// around it; undefined when there is none.
function expand(message: MessageName, bytes: Uint8Array, replace: Replace): Segment[] | undefined {
  const reader = protobuf.Reader.create(bytes)
  const parts: EncodedFields[] = []
  let changed = false
  let hasElsewhere = false
  while (reader.pos < reader.len) {
    const start = reader.pos
    const tag = reader.uint32()
    const id = tag >>> 3
    if (id === elsewhereField) {
      parts.push(replace(message, decodeMessage('ElsewhereProto', reader.bytes())))
      changed = true
      hasElsewhere = true
      continue
    }
    const child = (tag & 7) === 2 ? fieldsOf(message).get(id)?.message : undefined
    let inner: Segment[] | undefined
    if (child && carriers.has(child)) inner = expand(child, reader.bytes(), replace)
    else reader.skipType(tag & 7)
    changed ||= inner !== undefined
    parts.push({
      id,
      segments: inner ? [fieldHeader(id, lengthOf(inner)), ...inner] : [bytes.subarray(start, reader.pos)],
    })
  }
  // Fields are written in the order of their numbers; encoding put `elsewhere` last.
  if (hasElsewhere) parts.sort((a, b) => a.id - b.id)
  return changed ? parts.flatMap(({ segments }) => segments) : undefined
}

function lengthOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, { length }) => sum + length, 0)
}

async function writeWhole(file: string, segments: readonly Segment[]): Promise<void> {
  const temporary = `${file}.${randomUUID()}`
  const handle = await open(temporary, 'wx')
  try {
    try {
      for await (const chunk of chunks(segments)) await handle.writeFile(chunk)
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

// Small segments are joined: a model has thousands of them, and each write is a system call.
async function* chunks(segments: readonly Segment[]): AsyncIterable<Uint8Array> {
  const buffer = new Uint8Array(Math.min(2 ** 18, lengthOf(segments)))
  let used = 0
  for (const segment of segments) {
    for await (const piece of segment instanceof Uint8Array ? [segment] : segment.pieces()) {
      if (used + piece.length > buffer.length) {
        yield buffer.subarray(0, used)
        used = 0
      }
      if (piece.length > buffer.length) {
        yield piece
      } else {
        buffer.set(piece, used)
        used += piece.length
      }
    }
  }
  yield buffer.subarray(0, used)
}
