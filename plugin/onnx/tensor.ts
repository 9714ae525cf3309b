import { dtypeOfCode, dtypes, elementCount, type StoredDType } from '../../runtime/dtype.ts'
import { carriers, type MessageName } from './proto-schema.ts'
import { fieldsOf, type Message, safeInteger } from './proto.ts'

/** The type of a tensor. */
export interface TensorType {
  readonly dtype: StoredDType
  readonly dims: readonly number[]
}

/** The type of a tensor; undefined when its element type is unknown or a dim is negative or beyond 2^53. */
export function tensorType({ dataType, dims }: Message<'TensorProto'>): TensorType | undefined {
  const dtype = dtypeOfCode(dataType)
  const sizes = dims.map(safeInteger)
  return dtype && sizes.every((size) => size !== undefined && size >= 0)
    ? { dtype, dims: sizes as number[] }
    : undefined
}

/** Bytes of a raw tensor; elements below a byte are packed. Undefined for strings, which are never raw. */
export function byteLength({ dtype, dims }: TensorType): number | undefined {
  if (dtype === 'string') return undefined
  return Math.ceil((elementCount(dims) * dtypes[dtype].bits) / 8)
}

/** Whether the bytes of a tensor are in another file. */
export function isExternal({ dataLocation }: Message<'TensorProto'>): boolean {
  return dataLocation === 1
}

/**
 * Every tensor inside a message, in the order of the fields: attributes, subgraphs, functions and sparse tensors
 * included.
 */
export function* tensorsOf<N extends MessageName>(name: N, message: Message<N>): Generator<Message<'TensorProto'>> {
  if (name === 'TensorProto') yield message as Message<'TensorProto'>
  const values = message as unknown as Readonly<Record<string, unknown>>
  for (const row of fieldsOf(name).values()) {
    if (!row.message || !carriers.has(row.message)) continue
    for (const child of [values[row.name]].flat()) {
      if (child) yield* tensorsOf(row.message, child as Message<MessageName>)
    }
  }
}
