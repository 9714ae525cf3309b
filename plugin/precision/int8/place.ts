import { floatAttribute, intAttribute } from '../../onnx/attribute.ts'
import { type Node, type Scope, indexScope, nodeName, type ScopeIndex } from '../../onnx/graph.ts'
import { tensorType } from '../../onnx/tensor.ts'
import type { Placement, WeightedNode } from './backend-rules.ts'
import { shareScales } from './share-scales.ts'

/** A node that computes in int8 with constant weights. */
export interface Weighted {
  readonly node: Node
  /** Name of its weights, their dims, and the axis of the output channels. */
  readonly weight: string
  readonly dims: readonly number[]
  readonly axis: number
}

/** Where Q/DQ go in one graph. */
export interface Places {
  /** Each value to be quantized, and the value whose range it takes, often itself. */
  readonly values: ReadonlyMap<string, string>
  /** Of the values in whose range others lie as well: all whose ranges it covers. */
  readonly shared: ReadonlyMap<string, readonly string[]>
  /** The values that each node reads in their quantized form. */
  readonly readers: ReadonlyMap<Node, ReadonlySet<string>>
  readonly weighted: readonly Weighted[]
  /** Nodes whose result is quantized after the Relu or Clip that alone reads it. */
  readonly tails: readonly { readonly node: Node; readonly tail: Node }[]
  /** Nodes with constant weights that stay as they are. */
  readonly kept: readonly { readonly node: Node; readonly reason: string }[]
}

/** What is known of the values of a graph. */
export interface KnownValues {
  /** Whether a value can be quantized: its range is known and finite. */
  readonly usable: (value: string) => boolean
  /** Whether a value was one row in each sample. */
  readonly isRow: (value: string) => boolean
}

/**
 * Chooses by a placement what is quantized in one graph. Nodes must stand in their order. Those whose names are
 * `pinned` stay as they are.
 */
export function placeQuantization(
  scope: Scope,
  placement: Placement,
  { usable, isRow }: KnownValues,
  pinned: ReadonlySet<string> = new Set(),
): Places {
  const index = indexScope(scope)
  const outputs = new Set(scope.graph.output.map(({ name }) => name))
  const depths = depthsOf(scope)
  const pooled = pooledValues(scope, index)
  const inputs = new Set(scope.graph.input.map(({ name }) => name))
  const values = new Map<string, string>()
  const readers = new Map<Node, Set<string>>()
  const weighted: Weighted[] = []
  const tails: { node: Node; tail: Node }[] = []
  const kept: { node: Node; reason: string }[] = []
  const read = (node: Node, value: string) => {
    if (!values.has(value)) values.set(value, value)
    readers.set(node, (readers.get(node) ?? new Set()).add(value))
  }
  const give = (node: Node, tail: Node | undefined, value: string, root: string) => {
    values.set(value, root)
    if (tail) tails.push({ node, tail })
  }
  for (const node of scope.graph.node) {
    if (node.domain !== '') continue
    const { opType, input, output } = node
    const [first = ''] = input
    const result = output[0] ?? ''
    const compute = placement.compute[opType]
    if (compute) {
      const weights = weightsOf(node, index)
      const tail = tailOf(result, index, outputs)
      const end = tail?.output[0] ?? result
      const reason =
        (pinned.has(nodeName(node)) ? 'pinned to fp32' : undefined) ??
        misfit(node, weights, placement, index, {
          pooled: pooled.has(first),
          first: inputs.has(first),
          row: isRow(first),
        }) ??
        (usable(first) && (!compute.result || usable(end))
          ? undefined
          : 'the range of its values is unknown or not finite')
      if (reason !== undefined || !weights) {
        kept.push({ node, reason: reason ?? 'its weights are not constant' })
        continue
      }
      weighted.push({ node, ...weights })
      read(node, first)
      if (compute.result) give(node, tail, end, end)
    } else if (placement.follow[opType] && !pinned.has(nodeName(node))) {
      const same = placement.follow[opType] === 'same'
      const sources = opType === 'Concat' ? input : input.filter((name) => !index.constants.has(name))
      const whole = sources.length === input.length || (opType !== 'Add' && opType !== 'Mul')
      const tail = same ? undefined : tailOf(result, index, outputs)
      const end = tail?.output[0] ?? result
      if (!whole || !sources.every((name) => values.has(name)) || !(same || usable(end))) continue
      for (const name of sources) read(node, name)
      give(node, tail, end, same ? (values.get(first) ?? first) : end)
    } else if (opType === 'Add' && placement.residual !== 'none') {
      for (const value of residualInputs(node, placement, { index, depths, weighted, outputs }))
        if (usable(value)) read(node, value)
    }
  }
  const shared = shareScales(scope, placement.share, new Set(values.keys()))
  for (const [root, group] of shared) for (const value of group) values.set(value, root)
  return { values, shared, readers, weighted, tails, kept }
}

function misfit(
  node: Node,
  weights: Pick<Weighted, 'dims'> | undefined,
  { exclude, product }: Placement,
  { constants }: ScopeIndex,
  facts: Pick<WeightedNode, 'pooled' | 'first' | 'row'>,
): string | undefined {
  if (
    !weights &&
    (node.opType === 'MatMul' || node.opType === 'Gemm') &&
    !node.input.some((name) => constants.has(name))
  )
    return product
  if (!weights) return 'its weights are not constant float32 of the usual rank'
  const { opType: operator } = node
  if (operator === 'Gemm') {
    const plain =
      (floatAttribute(node, 'alpha') ?? 1) === 1 &&
      (floatAttribute(node, 'beta') ?? 1) === 1 &&
      (intAttribute(node, 'transA') ?? 0) === 0
    if (!plain) return 'a Gemm with alpha, beta or transA has no int8 kernel'
  }
  return exclude.find(({ matches }) =>
    matches({ operator, dims: weights.dims, group: intAttribute(node, 'group') ?? 1, ...facts }),
  )?.reason
}

/**
 * The constant weights of a node, as its second input; undefined when they are not constant, not float32, or of another
 * rank.
 */
export function weightsOf(
  node: Node,
  { constants }: ScopeIndex,
): Pick<Weighted, 'weight' | 'dims' | 'axis'> | undefined {
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

function tailOf(value: string, { consumers, constants }: ScopeIndex, outputs: ReadonlySet<string>): Node | undefined {
  const [reader, ...others] = consumers.get(value) ?? []
  if (!reader || others.length > 0 || outputs.has(value) || reader.domain !== '') return undefined
  const fixed = reader.input.slice(1).every((name) => name === '' || constants.has(name))
  return (reader.opType === 'Relu' || reader.opType === 'Clip') && reader.input[0] === value && fixed
    ? reader
    : undefined
}

interface Around {
  readonly index: ScopeIndex
  readonly depths: ReadonlyMap<string, number>
  readonly weighted: readonly Weighted[]
  readonly outputs: ReadonlySet<string>
}

function residualInputs(
  { input }: Node,
  { residual }: Placement,
  { index, depths, weighted, outputs }: Around,
): string[] {
  const [first = '', second = ''] = input
  if (first === second || index.constants.has(first) || index.constants.has(second)) return []
  const computing = new Set(weighted.map(({ node }) => node))
  if (residual === 'both')
    return [first, second].some((value) => computing.has(index.producers.get(value)!)) ? [first, second] : []
  // A kernel adds the other branch to what nobody else reads. Of two such branches the one with more nodes behind it
  // does.
  const alone = (value: string) => index.consumers.get(value)?.length === 1 && !outputs.has(value)
  const deepFirst = (depths.get(first) ?? 0) >= (depths.get(second) ?? 0)
  const branches = (deepFirst ? [first, second] : [second, first]).filter(
    (value) => alone(value) && endsConvolution(value, index, computing),
  )
  return branches.length === 0 ? [] : [branches[0] === first ? second : first]
}

// Whether a kernel gives the value: of a convolution with its Relu, Clip or SiLU (x times Sigmoid of x), as Model
// Optimizer's `get_fusible_backbone`.
function endsConvolution(value: string, { producers }: ScopeIndex, computing: ReadonlySet<Node>): boolean {
  const maker = producers.get(value)
  const isConvolution = (node: Node | undefined) =>
    node !== undefined && computing.has(node) && (node.opType === 'Conv' || node.opType === 'ConvTranspose')
  const [first = '', second = ''] = maker?.input ?? []
  const gates = (gate: string, gated: string) =>
    producers.get(gate)?.opType === 'Sigmoid' && producers.get(gate)?.input[0] === gated
  if (maker?.opType === 'Relu' || maker?.opType === 'Clip') return isConvolution(producers.get(first))
  if (maker?.opType === 'Mul')
    return gates(second, first)
      ? isConvolution(producers.get(first))
      : gates(first, second) && isConvolution(producers.get(second))
  return isConvolution(maker)
}

// What a global pool gives, and all that follows from that and constants alone.
function pooledValues({ graph }: Scope, { constants }: ScopeIndex): ReadonlySet<string> {
  const pooled = new Set<string>()
  for (const { opType, input, output } of graph.node) {
    const values = input.filter((name) => name !== '' && !constants.has(name))
    const after = values.length > 0 && values.every((name) => pooled.has(name))
    if (after || opType === 'GlobalAveragePool') for (const name of output) pooled.add(name)
  }
  return pooled
}

function depthsOf({ graph }: Scope): ReadonlyMap<string, number> {
  const depths = new Map<string, number>()
  for (const { input, output } of graph.node) {
    const depth = 1 + input.reduce((most, name) => Math.max(most, depths.get(name) ?? 0), 0)
    for (const name of output) depths.set(name, depth)
  }
  return depths
}
