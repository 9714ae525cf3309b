import { intsAttribute } from './attribute.ts'
import { indexScope, type Scope, type ScopeIndex } from './graph.ts'
import type { Node } from './proto.ts'
import { isMainDomain, type Message } from './proto.ts'

type Ranks = ReadonlyMap<string, number>

/**
 * The ranks of the values of one graph, as far as declared shapes and simple operators show them. Any other value may
 * have any rank.
 */
export function inferRanks(scope: Scope): Ranks {
  const ranks = new Map<string, number>()
  const { graph } = scope
  for (const { name, type } of [...graph.input, ...graph.valueInfo, ...graph.output]) {
    if (type?.tensorType?.shape) ranks.set(name, type.tensorType.shape.dim.length)
  }
  for (const { name, dims } of graph.initializer) ranks.set(name, dims.length)
  const index = indexScope(scope)
  for (const node of graph.node) {
    const rank = isMainDomain(node.domain) ? rankOf(node, ranks, index) : undefined
    for (const name of node.output) if (rank !== undefined && !ranks.has(name)) ranks.set(name, rank)
  }
  return ranks
}

// Operators whose outputs have the rank of their first input.
const same = new Set(
  `Abs AveragePool BatchNormalization Cast Ceil Clip Concat Conv ConvTranspose Dropout Elu Erf Exp Floor
  GlobalAveragePool GlobalMaxPool HardSigmoid Identity InstanceNormalization LRN LeakyRelu Log LogSoftmax MaxPool Neg
  PRelu Pad Reciprocal Relu Selu Sigmoid Slice Softmax Softplus Split Sqrt Tanh Upsample`.split(/\s+/),
)

const broadcast = new Set(['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Max', 'Min', 'Sum', 'Mean', 'MatMul'])

function rankOf(node: Node, ranks: Ranks, { constants }: ScopeIndex): number | undefined {
  const { opType, input } = node
  const first = ranks.get(input[0] ?? '')
  const axes = intsAttribute(node, 'axes')?.length
  if (opType === 'Constant') return constants.get(node.output[0] ?? '')?.dims.length
  if (opType === 'Gemm' || opType === 'Flatten') return 2
  if (opType === 'Reshape')
    return constants.get(input[1] ?? '')?.dims.length === 1 ? lengthOf(constants.get(input[1] ?? '')) : undefined
  if (opType === 'Transpose') return intsAttribute(node, 'perm')?.length ?? first
  if (first === undefined) return undefined
  if (same.has(opType)) return first
  if (opType === 'Squeeze' && axes !== undefined) return first - axes
  if (opType === 'Unsqueeze' && axes !== undefined) return first + axes
  if (!broadcast.has(opType)) return undefined
  const all = input.map((name) => ranks.get(name))
  // A product with a vector has one axis less.
  if (opType === 'MatMul' && all.some((rank) => rank === 1)) return undefined
  return all.every((rank) => rank !== undefined) ? Math.max(...(all as number[])) : undefined
}

function lengthOf(tensor: Message<'TensorProto'> | undefined): number | undefined {
  return tensor?.dims[0]?.low
}
