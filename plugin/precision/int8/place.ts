import { floatAttribute, intAttribute } from '../../onnx/attribute.ts'
import { capturesOf, type Scope, indexScope, nodeName, type ScopeIndex } from '../../onnx/graph.ts'
import type { Node } from '../../onnx/proto.ts'
import { tensorType } from '../../onnx/tensor.ts'
import type { Placement } from './backend-rules.ts'
import { depthsOf, type ResidualContext, residualInputs } from './residual.ts'
import { shareScales } from './share-scales.ts'

/** A node that computes in int8 with constant weights. */
export interface Weighted {
  readonly node: Node
  /** Name of its weights; `axis` is that of their output channels. */
  readonly weight: string
  readonly dims: readonly number[]
  readonly axis: number
}

/** Where Q/DQ go in one graph. */
export interface Places {
  /** Each value to be quantized, and the value whose range it takes, often itself. */
  readonly values: ReadonlyMap<string, string>
  /** For a value whose range others take too: all values that share it. */
  readonly shared: ReadonlyMap<string, readonly string[]>
  /** The values that each node reads in their quantized form. */
  readonly readers: ReadonlyMap<Node, ReadonlySet<string>>
  readonly weighted: readonly Weighted[]
  /** Nodes whose result is quantized after the Relu or Clip that alone reads it. */
  readonly tails: readonly { readonly node: Node; readonly tail: Node }[]
  /** Nodes with constant weights that stay as they are. */
  readonly kept: readonly { readonly node: Node; readonly reason: string }[]
}

/** What calibration found out about the values of a graph. */
export interface ObservedValues {
  /** Whether a value can be quantized: its range is known and finite. */
  readonly usable: (value: string) => boolean
  /** Whether a value was one row in each sample. */
  readonly isRow: (value: string) => boolean
}

/** Constant weights of a node: their name, dims, and the axis of the output channels. */
export type Weights = Pick<Weighted, 'weight' | 'dims' | 'axis'>

/** One graph and all that decides where Q/DQ go in it. */
interface Context extends ResidualContext {
  readonly observed: ObservedValues
  readonly pinned: ReadonlySet<string>
  readonly inputs: ReadonlySet<string>
  /** Results of a global pool, and values made from those alone. */
  readonly pooled: ReadonlySet<string>
  /** Values that bodies read and that cannot be quantized for that. */
  readonly captured: ReadonlySet<string>
}

/** The places found so far. */
interface Draft {
  readonly values: Map<string, string>
  readonly readers: Map<Node, Set<string>>
  readonly weighted: Weighted[]
  readonly tails: { node: Node; tail: Node }[]
  readonly kept: { node: Node; reason: string }[]
}

/**
 * Chooses where a backend's placement puts Q/DQ in one graph. Its nodes must be sorted. Nodes whose names are `pinned`
 * stay as they are.
 */
export function placeQuantization(
  scope: Scope,
  placement: Placement,
  observed: ObservedValues,
  pinned: ReadonlySet<string> = new Set(),
): Places {
  const index = indexScope(scope)
  const context: Context = {
    placement,
    observed,
    pinned,
    index,
    inputs: new Set(scope.graph.input.map(({ name }) => name)),
    outputs: new Set(scope.graph.output.map(({ name }) => name)),
    depths: depthsOf(scope),
    pooled: pooledValues(scope, index),
    captured: capturedValues(scope, placement),
  }
  const draft: Draft = { values: new Map(), readers: new Map(), weighted: [], tails: [], kept: [] }
  for (const node of scope.graph.node) if (node.domain === '') placeNode(node, context, draft)
  const shared = shareScales(scope, placement.share, new Set(draft.values.keys()))
  for (const [root, group] of shared) for (const value of group) draft.values.set(value, root)
  return { ...draft, shared }
}

function placeNode(node: Node, context: Context, draft: Draft): void {
  const { compute, follow, residual } = context.placement
  if (Object.hasOwn(compute, node.opType)) placeWeighted(node, context, draft)
  else if (Object.hasOwn(follow, node.opType) && !context.pinned.has(nodeName(node)))
    placeFollower(node, context, draft)
  else if (node.opType === 'Add' && residual !== 'none') placeResidual(node, context, draft)
}

// A node that computes in int8 with constant weights.
function placeWeighted(node: Node, context: Context, draft: Draft): void {
  const tail = tailOf(node.output[0] ?? '', context)
  const end = tail?.output[0] ?? node.output[0] ?? ''
  const weights = usableWeights(node, end, context)
  if (typeof weights === 'string') {
    draft.kept.push({ node, reason: weights })
    return
  }
  draft.weighted.push({ node, ...weights })
  readQuantized(draft, node, node.input[0] ?? '')
  if (!context.placement.compute[node.opType]?.result) return
  draft.values.set(end, end)
  if (tail) draft.tails.push({ node, tail })
}

// A node that goes on in int8 when all that it reads is quantized.
function placeFollower(node: Node, context: Context, draft: Draft): void {
  const { opType, input, output } = node
  const { index, placement, observed, captured } = context
  const keepsScale = placement.follow[opType] === 'same'
  const sources = opType === 'Concat' ? input : input.filter((name) => !index.constants.has(name))
  const isWhole = sources.length === input.length || (opType !== 'Add' && opType !== 'Mul')
  const tail = keepsScale ? undefined : tailOf(output[0] ?? '', context)
  const end = tail?.output[0] ?? output[0] ?? ''
  if (!isWhole || !sources.every((name) => draft.values.has(name))) return
  if (captured.has(end) || (!keepsScale && !observed.usable(end))) return
  for (const name of sources) readQuantized(draft, node, name)
  const [first = ''] = input
  draft.values.set(end, keepsScale ? (draft.values.get(first) ?? first) : end)
  if (tail) draft.tails.push({ node, tail })
}

function placeResidual(node: Node, context: Context, draft: Draft): void {
  const computing = new Set(draft.weighted.map((weighted) => weighted.node))
  for (const value of residualInputs(node, context, computing))
    if (context.observed.usable(value)) readQuantized(draft, node, value)
}

function readQuantized({ values, readers }: Draft, node: Node, value: string): void {
  if (!values.has(value)) values.set(value, value)
  readers.set(node, (readers.get(node) ?? new Set()).add(value))
}

/** The weights of a node that computes in int8, or why it stays as it is. `end` is the value after its tail. */
function usableWeights(node: Node, end: string, context: Context): Weights | string {
  const { placement, observed, pinned, index, inputs, pooled, captured } = context
  const { opType: operator, input } = node
  const [first = ''] = input
  if (pinned.has(nodeName(node))) return 'pinned to fp32'
  const weights = constantWeights(node, index)
  if (!weights) {
    const isProduct = operator === 'MatMul' || operator === 'Gemm'
    if (isProduct && !input.some((name) => index.constants.has(name))) return placement.product
    return 'its weights are not constant float32 of the usual rank'
  }
  if (operator === 'Gemm' && !isPlainGemm(node)) return 'a Gemm with alpha, beta or transA has no int8 kernel'
  const group = intAttribute(node, 'group') ?? 1
  const facts = { pooled: pooled.has(first), first: inputs.has(first), row: observed.isRow(first) }
  const excluded = placement.exclude.find(({ matches }) => matches({ operator, dims: weights.dims, group, ...facts }))
  if (excluded) return excluded.reason
  const needsResult = placement.compute[operator]?.result
  if (captured.has(first) || (needsResult && captured.has(end)))
    return 'the body of an If, Loop or Scan reads its values'
  if (!observed.usable(first) || (needsResult && !observed.usable(end)))
    return 'the range of its values is unknown or not finite'
  return weights
}

/** Whether a Gemm is a product and a sum, and no more. */
export function isPlainGemm(node: Node): boolean {
  const alpha = floatAttribute(node, 'alpha') ?? 1
  const beta = floatAttribute(node, 'beta') ?? 1
  return alpha === 1 && beta === 1 && (intAttribute(node, 'transA') ?? 0) === 0
}

/** The constant weights of a node, its second input; undefined when not constant, not float32, or of another rank. */
export function constantWeights(node: Node, { constants }: ScopeIndex): Weights | undefined {
  const weight = node.input[1] ?? ''
  const tensor = constants.get(weight)
  const type = tensor && tensorType(tensor)
  if (type?.dtype !== 'float32' || type.dims.includes(0)) return undefined
  const { dims } = type
  const axis = weightAxis(node, dims.length)
  return axis === undefined ? undefined : { weight, dims, axis }
}

function weightAxis(node: Node, rank: number): number | undefined {
  if (node.opType === 'Conv') return rank >= 3 ? 0 : undefined
  // With groups the channels of all groups share the axis: one scale would stand for several channels.
  if (node.opType === 'ConvTranspose') return rank >= 3 && (intAttribute(node, 'group') ?? 1) === 1 ? 1 : undefined
  if (rank !== 2) return undefined
  return node.opType === 'Gemm' && intAttribute(node, 'transB') === 1 ? 0 : 1
}

// The Relu or Clip with constant bounds that alone reads a value.
function tailOf(value: string, { index: { consumers, constants }, outputs }: Context): Node | undefined {
  const [reader, ...others] = consumers.get(value) ?? []
  if (!reader || others.length > 0 || outputs.has(value) || reader.domain !== '') return undefined
  const isTail = (reader.opType === 'Relu' || reader.opType === 'Clip') && reader.input[0] === value
  const isConstant = reader.input.slice(1).every((name) => name === '' || constants.has(name))
  return isTail && isConstant ? reader : undefined
}

// ONNX Runtime inlines the body of an If whose condition it knows, and its process aborts where that reads a
// DequantizeLinear (1.30 to 1.32, QDQPropagationTransformer).
function capturedValues({ graph }: Scope, { readers }: Placement): ReadonlySet<string> {
  return new Set(readers === 'all' ? graph.node.flatMap((node) => [...capturesOf(node)]) : [])
}

// The results of global pools, and all values that are made from those and constants alone.
function pooledValues({ graph }: Scope, { constants }: ScopeIndex): ReadonlySet<string> {
  const pooled = new Set<string>()
  for (const { opType, input, output } of graph.node) {
    const values = input.filter((name) => name !== '' && !constants.has(name))
    const followsPool = values.length > 0 && values.every((name) => pooled.has(name))
    if (followsPool || opType === 'GlobalAveragePool') for (const name of output) pooled.add(name)
  }
  return pooled
}
