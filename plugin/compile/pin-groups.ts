import { intAttribute } from '../onnx/attribute.ts'
import { loadGraph, nodeName, scopesOf } from '../onnx/graph.ts'
import type { Node } from '../onnx/proto.ts'
import { inPieces } from '../verify/in-pieces.ts'

/** Parts of the graph that a search tries to keep in fp32. */
const pieces = 8

/**
 * Sets of names that are likely to stay in fp32 together: neighbours in the graph, and the nodes of one kind, such as
 * depthwise convolutions, which lose most in int8 (Krishnamoorthi, "Quantizing deep convolutional networks for
 * efficient inference", 2018).
 *
 * @param names what a pass lowered, in the order of the graph
 */
export async function pinGroups(file: string, names: readonly string[]): Promise<readonly (readonly string[])[]> {
  const kinds = new Map<string, string[]>()
  const wanted = new Set(names)
  for (const { graph } of scopesOf(await loadGraph(file)))
    for (const node of graph.node) {
      const [name, kind] = [nodeName(node), kindOf(node)]
      if (wanted.has(name)) kinds.set(kind, [...(kinds.get(kind) ?? []), name])
    }
  // A kind that is nearly all there is leaves nothing in int8.
  const ofKind = [...kinds.values()].filter((group) => group.length * 4 <= names.length * 3)
  const all = [...inPieces(names, pieces), ...ofKind].filter((group) => group.length < names.length)
  return [...new Map(all.map((group) => [[...group].sort().join('\n'), group])).values()]
}

function kindOf(node: Node): string {
  if (node.opType !== 'Conv') return node.opType
  return (intAttribute(node, 'group') ?? 1) > 1 ? 'depthwise Conv' : 'Conv'
}
