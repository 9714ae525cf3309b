import type { Scope, ScopeIndex } from '../../onnx/graph.ts'
import type { Node } from '../../onnx/proto.ts'
import type { Placement } from './backend-rules.ts'

// An Add joins two branches, as in residual networks. Some backends compute it inside the kernel of the convolution
// that ends one of them: then only the other branch is quantized.

/** The graph around an Add. */
export interface ResidualContext {
  readonly placement: Placement
  readonly index: ScopeIndex
  /** Outputs of the graph. */
  readonly outputs: ReadonlySet<string>
  /** How many nodes are behind each value. */
  readonly depths: ReadonlyMap<string, number>
}

/** The inputs of an Add that are quantized. `computing` are the nodes so far that compute in int8. */
export function residualInputs(
  { input }: Node,
  { index, depths, outputs, placement }: ResidualContext,
  computing: ReadonlySet<Node>,
): readonly string[] {
  const [first = '', second = ''] = input
  if (first === second || index.constants.has(first) || index.constants.has(second)) return []
  if (placement.residual === 'both')
    return [first, second].some((value) => computing.has(index.producers.get(value)!)) ? [first, second] : []
  // A kernel adds the other branch to a value that nobody else reads. Of two such branches, the one with more nodes
  // behind it does.
  const isRead = (value: string) => index.consumers.get(value)?.length !== 1 || outputs.has(value)
  const deepFirst = (depths.get(first) ?? 0) >= (depths.get(second) ?? 0)
  const deepest = (deepFirst ? [first, second] : [second, first]).find(
    (value) => !isRead(value) && endsConvolution(value, index, computing),
  )
  if (deepest === undefined) return []
  return [deepest === first ? second : first]
}

// Whether the value is the result of a convolution's kernel, which includes its Relu, Clip or SiLU (x times Sigmoid of
// x), as in Model Optimizer's `get_fusible_backbone`.
function endsConvolution(value: string, { producers }: ScopeIndex, computing: ReadonlySet<Node>): boolean {
  const maker = producers.get(value)
  const isConvolution = (node: Node | undefined) =>
    node !== undefined && computing.has(node) && (node.opType === 'Conv' || node.opType === 'ConvTranspose')
  const [first = '', second = ''] = maker?.input ?? []
  const gates = (gate: string, gated: string) =>
    producers.get(gate)?.opType === 'Sigmoid' && producers.get(gate)?.input[0] === gated
  if (maker?.opType === 'Relu' || maker?.opType === 'Clip') return isConvolution(producers.get(first))
  if (maker?.opType !== 'Mul') return isConvolution(maker)
  if (gates(second, first)) return isConvolution(producers.get(first))
  return gates(first, second) && isConvolution(producers.get(second))
}

/** How many nodes are behind each value, on the longest way. The nodes of the graph must be sorted. */
export function depthsOf({ graph }: Scope): ReadonlyMap<string, number> {
  const depths = new Map<string, number>()
  for (const { input, output } of graph.node) {
    const depth = 1 + input.reduce((most, name) => Math.max(most, depths.get(name) ?? 0), 0)
    for (const name of output) depths.set(name, depth)
  }
  return depths
}
