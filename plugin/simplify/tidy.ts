import { dtypeOfCode } from '../../runtime/dtype.ts'
import { intAttribute } from '../onnx/attribute.ts'
import { renameReads } from '../onnx/edit.ts'
import { bodiesOf, declarations, type EditableModel, indexScope, reads, type Scope, scopesOf } from '../onnx/graph.ts'
import { isMainDomain, type Message, type Node } from '../onnx/proto.ts'
import { inferTypes, type ValueTypes } from '../onnx/types.ts'

/** Gives ONNX's own operators the domain '' everywhere: OpenVINO and TensorRT do not know its other name. */
export function normaliseDomains({ proto }: EditableModel): void {
  const rename = (node: Node): void => {
    if (node.domain === 'ai.onnx') node.domain = ''
    for (const attribute of node.attribute) {
      if (attribute.g) attribute.g.node.forEach(rename)
      for (const graph of attribute.graphs) graph.node.forEach(rename)
    }
  }
  for (const body of [proto.graph, ...proto.functions]) body.node.forEach(rename)
  for (const owner of [proto, ...proto.functions]) {
    for (const entry of owner.opsetImport) if (entry.domain === 'ai.onnx') entry.domain = ''
    owner.opsetImport = owner.opsetImport.filter(
      ({ domain }, index, all) => all.findIndex((other) => other.domain === domain) === index,
    )
  }
}

/** Removes nodes that change nothing and nodes that nothing reads. Inputs and outputs keep their names. */
export function tidy(model: EditableModel): void {
  const types = inferTypes(model)
  for (const scope of scopesOf(model)) removeIdentities(scope, types)
  dropDead({ graph: model.proto.graph })
}

function removeIdentities(scope: Scope, types: ValueTypes): void {
  const { graph } = scope
  const outputs = new Set(graph.output.map(({ name }) => name))
  const inner = allBodies(scope)
  const hidden = new Set(inner.flatMap((body) => [...declarations(body)]))
  for (const { output } of inner) for (const { name } of output) outputs.add(name)
  const names = new Map<string, string>()
  const removed = new Set<Node>()
  for (const node of graph.node) {
    const [from, to] = [node.input[0] ?? '', node.output[0] ?? '']
    if (!changesNothing(node, scope, types) || from === '' || to === '' || outputs.has(to) || hidden.has(from)) continue
    names.set(to, names.get(from) ?? from)
    removed.add(node)
  }
  if (removed.size === 0) return
  renameReads(scope, names)
  graph.node = graph.node.filter((node) => !removed.has(node))
}

/** Bodies at any depth. */
function allBodies(scope: Scope): Message<'GraphProto'>[] {
  return bodiesOf(scope).flatMap((body) => [body.graph, ...allBodies(body)])
}

function changesNothing(node: Node, scope: Scope, types: ValueTypes): boolean {
  const { opType, domain, input, output } = node
  if (!isMainDomain(domain)) return false
  if (opType === 'Identity') return true
  if (opType === 'Concat') return input.length === 1
  if (opType === 'Cast') {
    const dtype = dtypeOfCode(intAttribute(node, 'to') ?? 0)
    return dtype !== undefined && types.of(scope, input[0] ?? '') === dtype
  }
  // With a third input it may train, and its mask may be read.
  return opType === 'Dropout' && input.length <= 2 && output.length === 1
}

function dropDead(scope: Scope): void {
  const { graph } = scope
  for (const body of bodiesOf(scope)) dropDead(body)
  const needed = new Set(graph.output.map(({ name }) => name))
  const kept: Node[] = []
  for (const node of graph.node.toReversed()) {
    if (!node.output.some((name) => needed.has(name))) continue
    kept.push(node)
    for (const name of reads(node)) needed.add(name)
  }
  graph.node = kept.reverse()
  const { consumers } = indexScope(scope)
  const isRead = (name: string) => consumers.has(name) || graph.output.some((output) => output.name === name)
  graph.initializer = graph.initializer.filter(({ name }) => isRead(name))
  const declared = declarations(graph)
  graph.valueInfo = graph.valueInfo.filter(({ name }) => declared.has(name))
}
