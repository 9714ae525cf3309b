import { scopesOf, loadGraph, indexScope, nodeName } from '../onnx/graph.ts'

/** A node or a weight that breaks an engine. A type, not an interface: it is kept as JSON. */
export type Culprit = {
  /** What the option `precision.fp32` takes. */
  readonly name: string
  /** The operator of a node; 'initializer' for a weight. */
  readonly operator: string
  /** Nodes that read a weight: 'MatMul b'. */
  readonly readers: readonly string[]
}

/** What names mean in a model file: its nodes, by their own name or their first output, and its weights. */
export async function describeCulprits(file: string, names: readonly string[]): Promise<Culprit[]> {
  const wanted = new Set(names)
  const found = new Map<string, Culprit>()
  for (const scope of scopesOf(await loadGraph(file))) {
    const { consumers, constants } = indexScope(scope)
    for (const node of scope.graph.node) {
      const name = nodeName(node)
      if (wanted.has(name) && !constants.has(name)) found.set(name, { name, operator: node.opType, readers: [] })
    }
    for (const name of constants.keys()) {
      if (!wanted.has(name)) continue
      const readers = (consumers.get(name) ?? []).map((node) => `${node.opType} ${nodeName(node)}`)
      found.set(name, { name, operator: 'initializer', readers: [...(found.get(name)?.readers ?? []), ...readers] })
    }
  }
  // A node that a newer opset brought in has no place in the file.
  return names.map((name) => found.get(name) ?? { name, operator: '', readers: [] })
}
