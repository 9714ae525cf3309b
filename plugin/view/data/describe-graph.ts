import { bindingText } from '../../../runtime/check-inputs.ts'
import { describeBindings } from '../../onnx/bindings.ts'
import { loadGraph, type Scope, scopesOf } from '../../onnx/graph.ts'
import { type Message, type Node, safeInteger } from '../../onnx/proto.ts'
import { byteLength, tensorType } from '../../onnx/tensor.ts'
import { shorten } from '../../text.ts'
import type { GraphBinding, GraphView, InitializerView, NodeView } from '../contract.ts'

type Attribute = Message<'AttributeProto'>

/** Names of hostile models can be megabytes long. */
const longestText = 300
const clip = (text: string) => shorten(text, longestText)

/**
 * The nodes of a model with those of its bodies, for a page. Weights are not read.
 *
 * @throws OnnxEngineError MODEL_NOT_FOUND, MODEL_INVALID, EXTERNAL_DATA
 */
export async function describeGraph(file: string): Promise<GraphView> {
  const model = await loadGraph(file)
  const scopes = scopesOf(model)
  const placed = scopes.flatMap((scope) => scope.graph.node.map((node) => ({ node, scope })))
  const indexOf = new Map(placed.map(({ node }, index) => [node, index]))
  const scopeNames = new Map(scopes.map((scope) => [scope, bodyScope(scope)]))
  const nodes = placed.map(({ node, scope }, index) => describeNode(node, index, scopeNames.get(scope) ?? []))
  const edges = edgesOf(scopes, indexOf)
  const { inputs, outputs } = describeBindings(model.proto.graph, file)
  return {
    nodes,
    edges,
    inputs: inputs.map(describeBinding),
    outputs: outputs.map(describeBinding),
    initializers: scopes.flatMap(({ graph }) => graph.initializer.map(describeInitializer)),
    hasCycle: edges.some(({ from, to }) => from === to) || isCyclic(nodes.length, edges),
  }
}

function bodyScope({ owner, parent }: Scope): readonly string[] {
  if (owner === undefined || parent === undefined) return []
  return [...bodyScope(parent), clip(`${owner.opType} ${owner.name || (owner.output[0] ?? '')}`)]
}

function describeNode(node: Node, index: number, body: readonly string[]): NodeView {
  return {
    index,
    name: clip(node.name),
    op: clip(node.opType),
    domain: clip(node.domain),
    scope: [...body, ...nameScope(node.name)],
    inputs: node.input.map(clip),
    outputs: node.output.map(clip),
    attributes: node.attribute.map((attribute) => ({ name: clip(attribute.name), value: attributeText(attribute) })),
  }
}

/** Deeper names tell nothing to a person. */
const deepestScope = 8

// Exporters of PyTorch write '/model/layer.1/Conv', where a dot belongs to the name; without slashes, as in
// 'model.layers.0.conv', dots part the scopes.
function nameScope(name: string): readonly string[] {
  const clipped = clip(name)
  const parts = clipped.split(clipped.includes('/') ? '/' : '.').filter(Boolean)
  return parts.slice(0, -1).slice(0, deepestScope)
}

function edgesOf(scopes: readonly Scope[], indexOf: ReadonlyMap<Node, number>): GraphView['edges'] {
  const makers = new Map<Scope['graph'], ReadonlyMap<string, number>>()
  for (const { graph } of scopes) {
    const made = graph.node.flatMap((node) => node.output.map((name) => [name, indexOf.get(node) ?? 0] as const))
    makers.set(graph, new Map(made.filter(([name]) => name !== '')))
  }
  return scopes.flatMap((scope) =>
    scope.graph.node.flatMap((node) =>
      [...new Set(node.input)].flatMap((value) => {
        const from = makerOf(scope, value, makers)
        return from === undefined ? [] : [{ from, to: indexOf.get(node) ?? 0, value: clip(value) }]
      }),
    ),
  )
}

// A body sees the values of the graphs around it.
function makerOf(
  scope: Scope | undefined,
  value: string,
  makers: ReadonlyMap<Scope['graph'], ReadonlyMap<string, number>>,
): number | undefined {
  if (scope === undefined) return undefined
  return makers.get(scope.graph)?.get(value) ?? makerOf(scope.parent, value, makers)
}

// Kahn's algorithm: what is left has a cycle.
function isCyclic(count: number, edges: GraphView['edges']): boolean {
  const waiting = new Uint32Array(count)
  const next = Array.from({ length: count }, (): number[] => [])
  for (const { from, to } of edges) {
    next[from]?.push(to)
    waiting[to] = (waiting[to] ?? 0) + 1
  }
  const ready = Array.from(waiting.keys()).filter((node) => waiting[node] === 0)
  for (const node of ready) {
    for (const to of next[node] ?? []) {
      waiting[to] = (waiting[to] ?? 0) - 1
      if (waiting[to] === 0) ready.push(to)
    }
  }
  return ready.length < count
}

function describeBinding(binding: ReturnType<typeof describeBindings>['inputs'][number]): GraphBinding {
  const type = 'problem' in binding ? binding.problem.message : bindingText(binding)
  return { name: clip(binding.name), type: clip(type) }
}

function describeInitializer(tensor: Message<'TensorProto'>): InitializerView {
  const type = tensorType(tensor)
  const dims = tensor.dims.map((dim) => safeInteger(dim) ?? -1)
  const bytes = type ? (byteLength(type) ?? 0) : 0
  return { name: clip(tensor.name), dtype: type?.dtype ?? `type ${tensor.dataType}`, dims, bytes }
}

function attributeText(attribute: Attribute): string {
  const { f, i, s, t, g, floats, ints, strings } = attribute
  const texts: Readonly<Record<number, () => string>> = {
    1: () => String(f),
    2: () => String(safeInteger(i) ?? 'beyond 2^53'),
    3: () => new TextDecoder().decode(s.subarray(0, longestText)),
    4: () => (t ? `tensor of ${tensorType(t)?.dtype ?? 'another type'}` : 'tensor'),
    5: () => (g ? `graph of ${g.node.length} nodes` : 'graph'),
    6: () => floats.slice(0, 64).join(', '),
    7: () =>
      ints
        .slice(0, 64)
        .map((value) => safeInteger(value) ?? 'beyond 2^53')
        .join(', '),
    8: () =>
      strings
        .slice(0, 16)
        .map((value) => new TextDecoder().decode(value.subarray(0, 80)))
        .join(', '),
  }
  return clip(texts[attribute.type]?.() ?? 'of another type')
}
