import protobuf from 'protobufjs'
import { type MessageName, messages } from './proto-schema.ts'

/** A 64-bit integer, as protobufjs decodes it. */
export interface Int64 {
  readonly low: number
  readonly high: number
  readonly unsigned: boolean
}

interface Scalars {
  readonly int32: number
  readonly uint32: number
  readonly float: number
  readonly double: number
  readonly int64: Int64
  readonly uint64: Int64
  readonly string: string
  readonly bytes: Uint8Array
}

type Rows<N extends MessageName> = (typeof messages)[N][number]

type Value<T> = T extends keyof Scalars ? Scalars[T] : T extends MessageName ? Message<T> : never

/**
 * A decoded message. A repeated field that is absent reads as an empty array, a message as null, a scalar as its
 * default; `Object.hasOwn` shows whether it was present.
 */
export type Message<N extends MessageName> = {
  [R in Rows<N> as R[0]]: R extends readonly [string, number, infer T, string]
    ? Value<T>[]
    : R[2] extends MessageName
      ? Value<R[2]> | null
      : Value<R[2]>
}

/** A node of a graph: one call of an operator. */
export type Node = Message<'NodeProto'>

/** One row of the schema. `message` is set when the field is a message of the schema. */
export interface FieldRow {
  readonly name: string
  readonly type: string
  readonly repeated: boolean
  readonly message?: MessageName
}

const rows = Object.fromEntries(
  Object.entries(messages).map(([name, fields]) => [name, new Map<number, FieldRow>(fields.map(fieldRow))]),
) as unknown as Record<MessageName, ReadonlyMap<number, FieldRow>>

const rules = {
  single: {},
  repeated: { rule: 'repeated' },
  packed: { rule: 'repeated', options: { packed: true } },
}

const root = protobuf.Root.fromJSON({
  nested: Object.fromEntries(
    Object.entries(messages).map(([name, fields]) => [
      name,
      // Without the edition protobufjs uses proto3's rules, which would lose a dim of 0 and pack dims.
      {
        edition: 'proto2',
        fields: Object.fromEntries(
          fields.map(([field, id, type, rule]) => [field, { id, type, ...rules[rule ?? 'single'] }]),
        ),
      },
    ]),
  ),
})

/** The fields of a message by number. */
export function fieldsOf(name: MessageName): ReadonlyMap<number, FieldRow> {
  return rows[name]
}

/** The protobufjs type of an ONNX message. */
export function messageType(name: MessageName): protobuf.Type {
  return root.lookupType(name)
}

/** Decodes a message; fields that the schema does not list are kept and written back by `encodeMessage`. */
export function decodeMessage<N extends MessageName>(name: N, bytes: Uint8Array): Message<N> {
  const reader = protobuf.Reader.create(bytes)
  reader.discardUnknown = false
  return messageType(name).decode(reader) as unknown as Message<N>
}

/** A new message with these fields. All others are absent. */
export function newMessage<N extends MessageName>(name: N, fields: Partial<Message<N>>): Message<N> {
  return messageType(name).create(fields) as unknown as Message<N>
}

/** The wire bytes of a message, fields in the order of their numbers and unknown fields last. */
export function encodeMessage<N extends MessageName>(name: N, message: Partial<Message<N>>): Uint8Array {
  return messageType(name).encode(message).finish()
}

/** The tag of a length-delimited field, and its length. */
export function fieldHeader(id: number, length: number): Uint8Array {
  const writer = protobuf.Writer.create().uint32(id * 8 + 2)
  return writer.uint64(length).finish()
}

/** A number as a 64-bit integer. */
export function int64(value: number): Int64 {
  return { low: (value % 2 ** 32) | 0, high: Math.floor(value / 2 ** 32) | 0, unsigned: false }
}

/** A 64-bit integer as a number, or undefined when a number cannot hold it exactly. */
export function safeInteger({ low, high, unsigned }: Int64): number | undefined {
  const value = (unsigned ? high >>> 0 : high) * 2 ** 32 + (low >>> 0)
  return Number.isSafeInteger(value) ? value : undefined
}

function fieldRow([name, id, type, rule]: readonly [string, number, string, string?]): [number, FieldRow] {
  return [id, { name, type, repeated: rule !== undefined, ...(type in messages && { message: type as MessageName }) }]
}

/** Whether a domain is that of ONNX's own operators, which has two names. */
export function isMainDomain(domain: string): boolean {
  return domain === '' || domain === 'ai.onnx'
}
