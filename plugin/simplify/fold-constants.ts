import { bytesContent } from '../onnx/bytes.ts'
import { newTensor, setContent } from '../onnx/content.ts'
import { newNode } from '../onnx/edit.ts'
import { type EditableModel, indexScope, type Scope, type ScopeIndex } from '../onnx/graph.ts'
import { type Message, type Node, newMessage } from '../onnx/proto.ts'
import { byteLength, tensorType } from '../onnx/tensor.ts'
import type { ValueTypes } from '../onnx/types.ts'
import { constantsOf, type FindConstant, isFoldable, makeConstant } from './constants.ts'
import { type Computed, evaluate } from './evaluate.ts'
import type { Inference, KnownDims } from './infer-dims.ts'

/** Bytes of a result that is stored although the constants that it is made of are shorter. */
const small = 2 ** 16

// Operators that pick from their inputs: the length of a result is unknown, but no more than that of 8 bytes for each.
const picking: ReadonlySet<string> = new Set(['NonZero', 'Compress', 'Unique'])

// Results that JavaScript can hold as bytes.
const storable: ReadonlySet<unknown> = new Set(
  'float32 float64 float16 uint8 int8 uint16 int16 uint32 int32 uint64 int64 bool'.split(' '),
)

/** What is known of the values of a model in one round, and how many bytes it may still grow by. */
export interface Round extends Inference {
  readonly model: EditableModel
  readonly types: ValueTypes
  readonly dims: KnownDims
  readonly growth: { bytes: number }
}

/**
 * Computes the nodes of a graph that depend on constants alone, by ONNX Runtime, and stores the results instead. A
 * result longer than the constants that it replaces stays computed, unless it is small. Returns whether there was one.
 */
export async function foldConstants(scope: Scope, round: Round): Promise<boolean> {
  const chosen = chooseNodes(scope, round)
  if (chosen.length === 0) return false
  const { done, values } = await evaluate({ ...round, scope }, chosen)
  if (done.size === 0) return false
  const { graph } = scope
  const constants = [...values].map(([name, value]) => constantNode(round.model, name, value))
  graph.node = [...constants, ...graph.node.filter((node) => !done.has(node))]
  return true
}

function constantNode(model: EditableModel, name: string, { type, bytes }: Computed): Node {
  const isShort = bytes.length <= 1024
  const tensor = isShort ? newTensor('', type, bytes) : newMessage('TensorProto', {})
  if (!isShort) setContent(model, tensor, type, bytesContent(bytes))
  const node = newNode('', [], [name], { name })
  makeConstant(node, tensor)
  return node
}

function chooseNodes(scope: Scope, round: Round): Node[] {
  const { graph } = scope
  const outputs = new Set(graph.output.map(({ name }) => name))
  const find = constantsOf(scope)
  const index = indexScope(scope)
  // Bytes of what the chosen nodes make.
  const made = new Map<string, number>()
  return graph.node.filter((node) => {
    const isReady = node.input.every((name) => name === '' || made.has(name) || find(name) !== undefined)
    if (!isReady || !isFoldable(node) || node.output.some((name) => outputs.has(name))) return false
    const lengths = node.output.map((name) => (name === '' ? 0 : lengthOf(node, name, { scope, round, find })))
    if (lengths.some((length) => length === undefined)) return false
    const total = lengths.reduce((sum: number, length) => sum + (length ?? 0), 0)
    const growth = total - freedBytes(node, { find, made, index })
    if (growth > 0 && (total > small || growth > round.growth.bytes)) return false
    round.growth.bytes -= Math.max(growth, 0)
    node.output.forEach((name, position) => made.set(name, lengths[position]!))
    return true
  })
}

/** Bytes of a result; undefined when that is unknown, or it cannot be stored. */
function lengthOf(
  { opType, input }: Node,
  name: string,
  { scope, round, find }: { scope: Scope; round: Round; find: FindConstant },
): number | undefined {
  const dtype = round.types.of(scope, name)
  if (typeof dtype !== 'string' || !storable.has(dtype)) return undefined
  const dims = round.dims.get(name)
  if (dims?.every((dim) => dim !== undefined)) return byteLength({ dtype, dims })
  const sources = input.flatMap((source) => (source === '' ? [] : [find(source)]))
  const isPicking = picking.has(opType) && sources.every((tensor) => tensor !== undefined)
  return isPicking ? sources.reduce((sum, tensor) => sum + 8 * (tensor ? bytesOf(tensor) : 0), 0) : undefined
}

function freedBytes(
  { input }: Node,
  { find, made, index }: { find: FindConstant; made: ReadonlyMap<string, number>; index: ScopeIndex },
): number {
  return [...new Set(input)].reduce((sum, name) => {
    const isShared = (index.consumers.get(name)?.length ?? 0) > 1
    const tensor = find(name)
    return isShared ? sum : sum + (made.get(name) ?? (tensor ? bytesOf(tensor) : 0))
  }, 0)
}

function bytesOf(tensor: Message<'TensorProto'>): number {
  const type = tensorType(tensor)
  return (type && byteLength(type)) ?? 0
}
