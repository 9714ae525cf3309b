import { resolve } from 'node:path'
import { type StoredDType, dtypes } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Binding, Bindings } from '../../runtime/manifest.ts'
import { quote } from '../text.ts'
import { readBindings } from './bindings.ts'
import type { ByteRange } from './bytes.ts'
import { externalData, type FindExternal } from './external.ts'
import { type Message, safeInteger, isMainDomain } from './proto.ts'
import { roundingNode } from './quantized-nodes.ts'
import { readSkeleton } from './skeleton.ts'
import { tensorsOf, isExternal, tensorType, byteLength } from './tensor.ts'
import { trainingNodes } from './training-mode.ts'
import type { UnsupportedBinding } from './unsupported-binding.ts'

/** An initializer by reference: its weights stay on disk. */
export interface Initializer {
  readonly name: string
  readonly dtype: StoredDType
  readonly dims: readonly number[]
  /** Place of the raw little-endian bytes; undefined when the tensor stores typed values instead, as in float_data. */
  readonly range?: ByteRange
}

/** A model file without its weights. */
export interface Model {
  /** Absolute path of the .onnx file. */
  readonly file: string
  /** Size of the .onnx file in bytes. */
  readonly size: number
  readonly irVersion: number
  /** Opset version by domain; the main domain is ''. */
  readonly opsets: Readonly<Record<string, number>>
  /** Inputs and outputs that infer() can have. */
  readonly bindings: Bindings
  /** Inputs with a default, which is an initializer of the same name. */
  readonly defaults?: readonly Binding[]
  /** Inputs and outputs that JavaScript has nothing to represent. */
  readonly unsupported?: readonly UnsupportedBinding[]
  /**
   * External byte ranges of all tensors, those in attributes, subgraphs and functions included, in the order of the
   * model's fields; duplicates kept. The paths are real paths.
   */
  readonly external: readonly ByteRange[]
  /** Nodes that were exported for training, for a warning; see `trainingNodes`. */
  readonly training?: readonly string[]
  /** The operator of a node that rounds activations to integers; absent in a model of floating point. */
  readonly rounds?: string
}

/** A model and its initializers, which are known only after the whole file was read. */
export interface ModelWithInitializers extends Model {
  /** The dense initializers of the main graph. */
  readonly initializers: readonly Initializer[]
}

/**
 * Reads what a model declares; weights are skipped on disk, never read. Throws MODEL_NOT_FOUND, MODEL_INVALID (not a
 * file, empty, truncated, not a model, a tensor whose bytes do not fit its dims), MODEL_UNSUPPORTED (an initializer of
 * an unknown dtype) or EXTERNAL_DATA. Bindings that are not supported are listed: `selectBindings` refuses them.
 *
 * Not checked, because no result depends on it: unknown fields, names and doc strings of graphs and nodes, value infos,
 * unknown operators and domains (the backend rejects them), quantization annotations, training info, functions.
 */
export async function readModel(file: string): Promise<ModelWithInitializers> {
  const path = resolve(file)
  const { skeleton, size } = await readSkeleton(path, 0)
  const find = await externalData(path)
  const external: ByteRange[] = []
  const ranges = new Map<Message<'TensorProto'>, ByteRange>()
  for (const tensor of tensorsOf('ModelProto', skeleton)) {
    const range = await rangeOf(tensor, path, find)
    if (range) ranges.set(tensor, range)
    if (range && isExternal(tensor)) external.push(range)
  }
  const { bindings, defaults, unsupported } = readBindings(skeleton.graph, path)
  const initializers = skeleton.graph.initializer.map((tensor) => readInitializer(tensor, ranges.get(tensor), path))
  const training = await trainingNodes(skeleton.graph, (tensor) => ranges.get(tensor))
  const rounds = roundingNode(skeleton.graph.node)?.opType
  const irVersion = safeInteger(skeleton.irVersion) ?? 0
  return {
    file: path,
    size,
    irVersion,
    opsets: readOpsets(skeleton.opsetImport, path),
    bindings,
    initializers,
    external,
    ...(defaults.length > 0 && { defaults }),
    ...(unsupported.length > 0 && { unsupported }),
    ...(training.length > 0 && { training }),
    ...(rounds !== undefined && { rounds }),
  }
}

/** Place of the bytes of a raw tensor: external data, or the part of the model file that `readSkeleton` left out. */
export async function rangeOf(
  tensor: Message<'TensorProto'>,
  path: string,
  find: FindExternal,
): Promise<ByteRange | undefined> {
  const type = tensorType(tensor)
  const needed = type && byteLength(type)
  if (isExternal(tensor)) return find(tensor, needed)
  const raw = tensor.elsewhere.find(({ field }) => field === 9)
  const inline = Object.hasOwn(tensor, 'rawData') ? tensor.rawData.length : undefined
  const length = raw ? safeInteger(raw.length) : inline
  if (length !== undefined && needed !== undefined && length !== needed) {
    const where = `${path}, tensor ${quote(tensor.name)}`
    throw new OnnxEngineError('MODEL_INVALID', where, {
      expected: `${needed} bytes for its dims and dtype`,
      received: `${length}`,
    })
  }
  return raw && { file: path, offset: safeInteger(raw.offset) ?? 0, length: length ?? 0 }
}

function readInitializer(tensor: Message<'TensorProto'>, range: ByteRange | undefined, path: string): Initializer {
  const type = tensorType(tensor)
  if (type) return { name: tensor.name, ...type, ...(range && { range }) }
  const dims = tensor.dims.slice(0, 16).map((dim) => safeInteger(dim) ?? '2^53 or more')
  throw new OnnxEngineError('MODEL_UNSUPPORTED', `${path}, initializer ${quote(tensor.name)}`, {
    expected: `one of ${Object.keys(dtypes).length} known dtypes and dims from 0 to 2^53`,
    received: `element type ${tensor.dataType} and dims [${dims.join(', ')}]`,
  })
}

function readOpsets(imports: readonly Message<'OperatorSetIdProto'>[], path: string): Record<string, number> {
  const opsets = new Map<string, number>()
  for (const { domain, version } of imports) {
    const key = isMainDomain(domain) ? '' : domain
    const value = safeInteger(version) ?? 0
    if ((opsets.get(key) ?? value) !== value) {
      const where = `${path}, opset of the domain ${quote(domain)}`
      throw new OnnxEngineError('MODEL_INVALID', where, {
        expected: 'one version',
        received: `${opsets.get(key)} and ${value}`,
      })
    }
    opsets.set(key, value)
  }
  return Object.fromEntries(opsets)
}
