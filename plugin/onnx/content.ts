import { type StoredDType, dtypes } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { quote } from '../text.ts'
import { type Content, bytesContent, readContent, fileContent } from './bytes.ts'
import type { EditableModel } from './graph.ts'
import { type Message, int64, newMessage, safeInteger, fieldHeader, decodeMessage, type Int64 } from './proto.ts'
import { tensorType, byteLength, type TensorType } from './tensor.ts'

/** A typed array of the elements of a tensor. 16-bit floats are their raw bits. */
export type Elements = InstanceType<(typeof arrays)[keyof typeof arrays]>

/**
 * The content of a tensor, however the model stores it: raw or as a typed list, in the model file, as external data, or
 * made by a pass. Undefined for strings and unknown types.
 */
export function tensorContent(model: EditableModel, tensor: Message<'TensorProto'>): Content | undefined {
  const type = tensorType(tensor)
  const length = type && byteLength(type)
  if (!type || length === undefined) return undefined
  const raw =
    elsewhere(model, tensor, 9) ?? (Object.hasOwn(tensor, 'rawData') ? bytesContent(tensor.rawData) : undefined)
  return raw ?? listContent(model, tensor, type, length)
}

/**
 * The elements of a tensor in memory; for constants that a pass must look at. Undefined where a typed array cannot hold
 * them.
 */
export async function tensorElements(
  model: EditableModel,
  tensor: Message<'TensorProto'>,
): Promise<Elements | undefined> {
  const type = tensorType(tensor)
  const content = tensorContent(model, tensor)
  return type && content && viewElements(type.dtype, await readContent(content))
}

/**
 * The elements of a small tensor at once: those of up to 1 KB are in memory with the structure. Undefined for all
 * others.
 */
export function smallElements(tensor: Message<'TensorProto'>): Elements | undefined {
  const type = tensorType(tensor)
  if (!type || tensor.elsewhere.length > 0) return undefined
  if (Object.hasOwn(tensor, 'rawData')) return viewElements(type.dtype, new Uint8Array(tensor.rawData))
  const bytes = listBytes(tensor, type.dtype)
  return viewElements(type.dtype, new Uint8Array(bytes.buffer))
}

/**
 * Bytes as elements. The bytes must start at an address that is a multiple of the element size, as those of a piece do.
 */
export function viewElements(
  dtype: StoredDType,
  { buffer, byteOffset, byteLength: length }: Uint8Array,
): Elements | undefined {
  const name = dtypes[dtype].array
  if (name === null || name === 'Array') return undefined
  const array = arrays[name]
  return new array(buffer as ArrayBuffer, byteOffset, length / array.BYTES_PER_ELEMENT)
}

/** Replaces the content of a tensor, and its dtype and dims. */
export function setContent(
  model: EditableModel,
  tensor: Message<'TensorProto'>,
  { dtype, dims }: TensorType,
  content: Content,
): void {
  const { name, docString, metadataProps } = tensor
  for (const key of Object.keys(tensor)) delete (tensor as Record<string, unknown>)[key]
  const source = model.contents.push(content)
  const fields = { field: 9, source, length: int64(content.length) }
  Object.assign(
    tensor,
    newMessage('TensorProto', {
      name,
      dims: dims.map(int64),
      dataType: dtypes[dtype].code,
      metadataProps,
      elsewhere: [newMessage('ElsewhereProto', fields)],
      ...(docString && { docString }),
    }),
  )
}

/** A new tensor, to be added to a graph's initializers or to a node's attribute. */
export function newTensor(name: string, { dtype, dims }: TensorType, data: Elements): Message<'TensorProto'> {
  const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return newMessage('TensorProto', { name, dims: dims.map(int64), dataType: dtypes[dtype].code, rawData })
}

const arrays = {
  Float32Array,
  Float64Array,
  Int8Array,
  Uint8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  BigInt64Array,
  BigUint64Array,
} as const

function elsewhere(model: EditableModel, tensor: Message<'TensorProto'>, id: number): Content | undefined {
  const entry = tensor.elsewhere.find(({ field }) => field === id)
  return entry && entryContent(model, entry)
}

/** The content that an `elsewhere` field refers to. */
export function entryContent(model: EditableModel, { source, offset, length }: Message<'ElsewhereProto'>): Content {
  const made = source === 0 ? undefined : model.contents[source - 1]
  return made ?? fileContent({ file: model.file, offset: safeInteger(offset) ?? 0, length: safeInteger(length) ?? 0 })
}

// The typed list that holds the elements of a dtype, by onnx.proto; all other dtypes are in int32_data (field 5), where
// elements of less than a byte are packed as in raw data.
const listFields: Partial<Record<StoredDType, number>> = {
  float32: 4,
  complex64: 4,
  int64: 7,
  float64: 10,
  complex128: 10,
  uint32: 11,
  uint64: 11,
}

function listContent(
  model: EditableModel,
  tensor: Message<'TensorProto'>,
  { dtype }: TensorType,
  length: number,
): Content {
  const id = listFields[dtype] ?? 5
  const wire = elsewhere(model, tensor, id)
  return {
    length,
    async *pieces() {
      const field = wire && Buffer.concat([fieldHeader(id, wire.length), await readContent(wire)])
      const bytes = listBytes(field ? decodeMessage('TensorProto', field) : tensor, dtype)
      if (bytes.byteLength !== length) {
        const where = `${model.file}, tensor ${quote(tensor.name)}`
        throw new OnnxEngineError('MODEL_INVALID', where, {
          expected: `${length} bytes for its dims and dtype`,
          received: `${bytes.byteLength}`,
        })
      }
      yield new Uint8Array(bytes.buffer)
    },
  }
}

function listBytes(tensor: Message<'TensorProto'>, dtype: StoredDType): Elements {
  const id = listFields[dtype]
  if (id === 4) return Float32Array.from(tensor.floatData)
  if (id === 10) return Float64Array.from(tensor.doubleData)
  if (id === 7) return BigInt64Array.from(tensor.int64Data.map(toBigInt))
  if (id === 11 && dtype === 'uint64') return BigUint64Array.from(tensor.uint64Data.map(toBigInt))
  if (id === 11) return Uint32Array.from(tensor.uint64Data, ({ low }) => low)
  const array = { 16: Uint16Array, 32: Int32Array }[dtypes[dtype].bits as number] ?? Uint8Array
  return array.from(tensor.int32Data)
}

function toBigInt({ low, high, unsigned }: Int64): bigint {
  return (BigInt(unsigned ? high >>> 0 : high) << 32n) | BigInt(low >>> 0)
}
