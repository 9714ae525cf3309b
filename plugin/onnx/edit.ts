import { type StoredDType, dtypes } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { quote } from '../text.ts'
import { type EditableModel, scopesOf, type Scope, indexScope, reads, bodies, declarations } from './graph.ts'
import { type Message, newMessage, type Node } from './proto.ts'

/** A function that makes names which nothing in the model has. It knows the model as it is now, and its own names. */
export function nameMaker(model: EditableModel): (base: string) => string {
  const used = new Set<string>()
  for (const { graph } of scopesOf(model)) {
    for (const { name } of [...graph.input, ...graph.initializer, ...graph.node]) used.add(name)
    for (const { values } of graph.sparseInitializer) used.add(values?.name ?? '')
    for (const name of graph.node.flatMap(({ input, output }) => [...input, ...output])) used.add(name)
  }
  const counts = new Map<string, number>()
  return (base) => {
    let name = base
    for (let count = counts.get(base) ?? 1; used.has(name); count++) {
      name = `${base}_${count}`
      counts.set(base, count + 1)
    }
    used.add(name)
    return name
  }
}

/** A node; attributes come from attribute.ts. */
export function newNode(
  opType: string,
  input: string[],
  output: string[],
  more: Partial<Pick<Node, 'name' | 'domain' | 'attribute'>> = {},
): Node {
  return newMessage('NodeProto', { opType, input, output, ...more })
}

/** The declaration of a value whose dims are not known, as outputs of a graph need one. */
export function declareValue(name: string, dtype: StoredDType): Message<'ValueInfoProto'> {
  const tensorType = newMessage('TensorTypeProto', { elemType: dtypes[dtype].code })
  return newMessage('ValueInfoProto', { name, type: newMessage('TypeProto', { tensorType }) })
}

/**
 * Makes the readers of values, in this graph and in the bodies of its nodes, read others: `names` maps old to new.
 * Outputs of the graph stay. Rename all values of a pass at once: this goes through the whole graph.
 */
export function renameReads(
  { graph }: Scope,
  names: ReadonlyMap<string, string>,
  accept: (reader: Node) => boolean = () => true,
): void {
  for (const node of graph.node) {
    if (accept(node)) renameInputs(node, names)
  }
}

/**
 * Changes the dtypes that a graph declares: of its inputs and outputs, and of values between them if they are declared.
 */
export function redeclare({ graph }: Scope, changes: ReadonlyMap<string, StoredDType>): void {
  for (const { name, type } of [...graph.input, ...graph.output, ...graph.valueInfo]) {
    const dtype = changes.get(name)
    if (dtype && type?.tensorType) type.tensorType.elemType = dtypes[dtype].code
  }
}

/**
 * Sorts the nodes of a graph so that each comes after the nodes that make its inputs. A node moves only if it must: to
 * the place right before its first reader. Throws MODEL_INVALID with a node when nodes need each other.
 *
 * @param subject the model, for messages
 */
export function sortNodes({ graph }: Scope, subject: string): void {
  const { producers } = indexScope({ graph })
  const sorted = new Set<Node>()
  const entered = new Set<Node>()
  // A path instead of recursion: a chain of nodes may be longer than the stack.
  const path: { node: Node; needs: Iterator<string> }[] = []
  const enter = (node: Node): void => {
    if (entered.has(node)) {
      const place = `${subject}, node ${quote(node.name)} (${node.opType})`
      throw new OnnxEngineError('MODEL_INVALID', place, {
        expected: 'a graph without cycles',
        received: 'a node that needs its own output',
      })
    }
    entered.add(node)
    path.push({ node, needs: reads(node).values() })
  }
  for (const first of graph.node) {
    if (!sorted.has(first)) enter(first)
    for (let top = path.at(-1); top; top = path.at(-1)) {
      const { done, value } = top.needs.next()
      const maker = done ? undefined : producers.get(value)
      if (maker && !sorted.has(maker)) enter(maker)
      if (!done) continue
      sorted.add(top.node)
      path.pop()
    }
  }
  graph.node = [...sorted]
}

function renameInputs(node: Node, names: ReadonlyMap<string, string>): void {
  node.input = node.input.map((name) => names.get(name) ?? name)
  for (const graph of bodies(node)) {
    const declared = declarations(graph)
    const visible = new Map([...names].filter(([name]) => !declared.has(name)))
    if (visible.size > 0) for (const inner of graph.node) renameInputs(inner, visible)
  }
}
