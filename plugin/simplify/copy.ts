import { bodies } from '../onnx/graph.ts'
import { decodeMessage, encodeMessage, type Message, type Node } from '../onnx/proto.ts'

/** A copy that shares nothing with the original; weights that are elsewhere stay there. */
export function copyNode(node: Node): Node {
  return decodeMessage('NodeProto', encodeMessage('NodeProto', node))
}

/**
 * Renames what a node reads, and everything in its bodies: what they declare gets the new name too, so `names` must
 * have no name that a body declares for itself and that must stay.
 */
export function renameInside(node: Node, names: ReadonlyMap<string, string>): void {
  node.input = node.input.map((name) => names.get(name) ?? name)
  for (const graph of bodies(node)) renameAll(graph, names)
}

/** Renames values of a graph everywhere: where they are declared, made and read, in bodies too. */
export function renameAll(graph: Message<'GraphProto'>, names: ReadonlyMap<string, string>): void {
  for (const entry of [...graph.input, ...graph.output, ...graph.valueInfo, ...graph.initializer])
    entry.name = names.get(entry.name) ?? entry.name
  for (const { values } of graph.sparseInitializer) if (values) values.name = names.get(values.name) ?? values.name
  for (const node of graph.node) {
    renameInside(node, names)
    node.output = node.output.map((name) => names.get(name) ?? name)
  }
}
