import { attributeOf, removeAttribute } from '../onnx/attribute.ts'
import { nameMaker } from '../onnx/edit.ts'
import { bodies, type EditableModel, scopesOf } from '../onnx/graph.ts'
import { isMainDomain, type Message, type Node, newMessage, safeInteger } from '../onnx/proto.ts'
import { mainOpset } from '../onnx/types.ts'
import { isRewrittenBetween } from '../onnx/upgrade.ts'
import { copyNode, renameInside } from './copy.ts'

type LocalFunction = Message<'FunctionProto'>

/** Nodes that calls may grow to: functions that call others twice would take for ever. */
const mostNodes = 200_000

/**
 * Replaces calls of the model's own functions by their nodes. A function that imports another opset stays, unless its
 * nodes mean the same in the opset of the model.
 */
export function inlineFunctions(model: EditableModel): void {
  const { proto } = model
  const functions = new Map(proto.functions.filter((body) => fits(model, body)).map((body) => [keyOf(body), body]))
  if (functions.size === 0) return
  const makeName = nameMaker(model)
  const budget = { nodes: mostNodes }
  // Bodies that come in with a call have calls of their own: scopes are looked up again until none is left.
  for (let changed = true; changed;) {
    changed = false
    for (const { graph } of scopesOf(model)) {
      const inlined = graph.node.flatMap((node) => inlineCall(node, functions.get(callOf(node)), makeName, budget))
      changed ||= inlined.length !== graph.node.length || inlined.some((node, index) => node !== graph.node[index])
      graph.node = inlined
    }
    if (budget.nodes < 0) return
  }
  dropFunctions(model)
}

/** The nodes of a call; the call itself when it is of no function, or calls have become too many. */
function inlineCall(
  call: Node,
  body: LocalFunction | undefined,
  makeName: (base: string) => string,
  budget: { nodes: number },
): Node[] {
  if (!body) return [call]
  budget.nodes -= body.node.length
  if (budget.nodes < 0) return [call]
  const names = new Map([['', '']])
  body.input.forEach((name, index) => names.set(name, call.input[index] ?? ''))
  const passed: Node[] = []
  body.output.forEach((name, index) => {
    const result = call.output[index] ?? ''
    if (!names.has(name)) names.set(name, result === '' ? makeName(name) : result)
    else if (result !== '')
      passed.push(newMessage('NodeProto', { opType: 'Identity', input: [names.get(name)!], output: [result] }))
  })
  const attributes = new Map(body.attributeProto.map((attribute) => [attribute.name, attribute]))
  for (const attribute of call.attribute) attributes.set(attribute.name, attribute)
  const nodes = body.node.map((original) => {
    const node = copyNode(original)
    if (call.name !== '' && node.name !== '') node.name = `${call.name}/${node.name}`
    return node
  })
  for (const node of nodes) {
    setAttributes(node, attributes)
    for (const name of node.output) if (!names.has(name)) names.set(name, makeName(name))
  }
  for (const node of nodes) {
    renameInside(node, names)
    node.output = node.output.map((name) => names.get(name) ?? name)
  }
  return [...nodes, ...passed]
}

/** Gives attributes that refer to those of the call their values; one that the call leaves out is absent. */
function setAttributes(node: Node, attributes: ReadonlyMap<string, Message<'AttributeProto'>>): void {
  for (const { name, refAttrName } of node.attribute) {
    if (!refAttrName) continue
    const value = attributes.get(refAttrName)
    if (value) Object.assign(attributeOf(node, name)!, { ...value, name, refAttrName: '' })
    else removeAttribute(node, name)
  }
  for (const graph of bodies(node)) for (const inner of graph.node) setAttributes(inner, attributes)
}

function fits({ proto }: EditableModel, body: LocalFunction): boolean {
  const model = new Map(proto.opsetImport.map(({ domain, version }) => [domain, safeInteger(version)]))
  const others = body.opsetImport.filter(({ domain }) => !isMainDomain(domain))
  if (others.some(({ domain, version }) => (model.get(domain) ?? safeInteger(version)) !== safeInteger(version)))
    return false
  const [from, to] = [mainOpset(body.opsetImport), mainOpset(proto.opsetImport)]
  if (body.opsetImport.every(({ domain }) => !isMainDomain(domain)) || from === to) return true
  return from < to && !allNodes(body.node).some((node) => isRewrittenBetween(node, from, to))
}

function allNodes(nodes: readonly Node[]): Node[] {
  return nodes.flatMap((node) => [node, ...bodies(node).flatMap((graph) => allNodes(graph.node))])
}

/** Functions that nothing calls any more; what they import, the model imports now. */
function dropFunctions({ proto }: EditableModel): void {
  for (const body of proto.functions) {
    for (const entry of body.opsetImport) {
      const known = proto.opsetImport.some(
        ({ domain }) => domain === entry.domain || (isMainDomain(domain) && isMainDomain(entry.domain)),
      )
      if (!known) proto.opsetImport.push(entry)
    }
  }
  const called = new Set<string>()
  const visit = (nodes: readonly Node[]): void => {
    for (const node of allNodes(nodes)) {
      const body = called.has(callOf(node)) ? undefined : proto.functions.find((entry) => keyOf(entry) === callOf(node))
      if (!body) continue
      called.add(callOf(node))
      visit(body.node)
    }
  }
  visit(proto.graph.node)
  proto.functions = proto.functions.filter((body) => called.has(keyOf(body)))
}

function keyOf({ domain, name, overload }: LocalFunction): string {
  return JSON.stringify([isMainDomain(domain) ? '' : domain, name, overload])
}

function callOf({ domain, opType, overload }: Node): string {
  return JSON.stringify([isMainDomain(domain) ? '' : domain, opType, overload])
}
