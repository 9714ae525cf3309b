import { resolve } from 'node:path'
import { type Content, fileContent } from './bytes.ts'
import { externalData } from './external.ts'
import { rangeOf } from './model.ts'
import { type Message, type Node, newMessage, int64, isMainDomain } from './proto.ts'
import { type Skeleton, readSkeleton } from './skeleton.ts'
import { tensorsOf, isExternal } from './tensor.ts'

// ONNX files: reading, changing and writing them. model.ts reads what a file declares without its weights (skim.ts,
// skeleton.ts); this file and its neighbours change a graph. A pass works like this:
//
//   const model = await loadGraph(file)          weights stay on disk
//   hideInitializers(model)                      no second place that declares the dtype of a weight (upgrade.ts)
//   upgradeOpset(model, 13)                      if the pass needs it; throws PRECISION_UNSUPPORTED (upgrade.ts)
//   const types = inferTypes(model)              the dtype of each value (types.ts)
//   for (const scope of scopesOf(model)) {       the main graph, then the bodies of If, Loop and Scan
//     const index = indexScope(scope)            who makes and who reads each value; make a new one after changes
//     ... change messages in place, push new nodes anywhere ...
//     sortNodes(scope, model.file)               puts them where they belong
//   }
//   await writeGraph(model, out)
//
// edit.ts names, renames, redeclares and sorts; attribute.ts reads and makes attributes; signatures.ts knows where
// floats may be float16 or bfloat16; content.ts reads and replaces the bytes of tensors; write.ts writes.

/** A model to be changed. Unchanged fields are written back as they were, unknown ones included. */
export interface EditableModel {
  /** Absolute path of the file that it was read from, which must stay as it is until the model is written. */
  readonly file: string
  /** The whole model as decoded messages, to be changed in place. Long weights are `elsewhere` fields. */
  readonly proto: Skeleton
  /** Contents that `elsewhere` fields refer to by their 1-based position; position 0 is the model file. */
  readonly contents: Content[]
  /** Whether the source had external data: then the weights are written as external data too. */
  readonly external: boolean
}

/** The main graph, or a body of a node. */
export interface Scope {
  readonly graph: Message<'GraphProto'>
  /** Undefined for the main graph. */
  readonly parent?: Scope
  /** The node whose attribute holds the graph. */
  readonly owner?: Node
}

/** Who makes and who reads the values of one graph. */
export interface ScopeIndex {
  /** The node that makes a value. Inputs and initializers have none. */
  readonly producers: ReadonlyMap<string, Node>
  /** The nodes of this graph that read a value, themselves or inside their bodies; one entry for each node. */
  readonly consumers: ReadonlyMap<string, readonly Node[]>
  /** Tensors with a fixed value by the name of that value: initializers, and what Constant nodes make. */
  readonly constants: ReadonlyMap<string, Message<'TensorProto'>>
}

// Tensors up to this size are decoded with the structure: shapes, axes, scalars.
const inlineLength = 1024

/** Reads a model for changes; throws as `readModel` does, but accepts any binding. */
export async function loadGraph(file: string): Promise<EditableModel> {
  const path = resolve(file)
  const { skeleton } = await readSkeleton(path, inlineLength)
  const find = await externalData(path)
  const contents: Content[] = []
  const shared = new Map<string, number>()
  let external = false
  for (const tensor of tensorsOf('ModelProto', skeleton)) {
    const range = await rangeOf(tensor, path, find)
    if (!range || !isExternal(tensor)) continue
    external = true
    const key = `${range.offset} ${range.length} ${range.file}`
    const source = shared.get(key) ?? contents.push(fileContent(range))
    shared.set(key, source)
    tensor.elsewhere = [newMessage('ElsewhereProto', { field: 9, source, length: int64(range.length) })]
    tensor.externalData = []
    delete (tensor as Partial<typeof tensor>).dataLocation
  }
  return { file: path, proto: skeleton, contents, external }
}

/**
 * Every graph with nodes that run: the main graph first, each body after the graph around it. Functions are not
 * included.
 */
export function scopesOf(model: EditableModel): Scope[] {
  const scopes: Scope[] = [mainScope(model)]
  for (const scope of scopes) scopes.push(...bodiesOf(scope))
  return scopes
}

/** The graph that is not the body of a node. */
export function mainScope(model: EditableModel): Scope {
  return { graph: model.proto.graph }
}

/** The bodies of the nodes of one graph. */
export function bodiesOf(parent: Scope): Scope[] {
  return parent.graph.node.flatMap((owner) => bodies(owner).map((graph) => ({ graph, parent, owner })))
}

/** Indexes one graph as it is now. */
export function indexScope({ graph }: Scope): ScopeIndex {
  const producers = new Map<string, Node>()
  const consumers = new Map<string, Node[]>()
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]))
  for (const node of graph.node) {
    for (const name of reads(node)) {
      const readers = consumers.get(name)
      if (readers) readers.push(node)
      else consumers.set(name, [node])
    }
    for (const name of node.output) if (name !== '') producers.set(name, node)
    const value =
      node.opType === 'Constant' && isMainDomain(node.domain)
        ? node.attribute.find(({ name }) => name === 'value')?.t
        : undefined
    if (value && node.output[0]) constants.set(node.output[0], value)
  }
  return { producers, consumers, constants }
}

/** The values that a node needs from its graph: its inputs, and what its bodies take from outside. */
export function reads(node: Node): Set<string> {
  const names = new Set([...node.input, ...capturesOf(node)])
  names.delete('')
  return names
}

/** The values that the bodies of a node take from outside. */
export function capturesOf(node: Node): Set<string> {
  return new Set(bodies(node).flatMap((body) => [...captures(body)]))
}

/** The values that a graph itself declares: they hide values of the same name outside. */
export function declarations({ input, initializer, sparseInitializer, node }: Message<'GraphProto'>): Set<string> {
  const names = new Set([...input, ...initializer].map(({ name }) => name))
  for (const { values } of sparseInitializer) names.add(values?.name ?? '')
  for (const { output } of node) for (const name of output) names.add(name)
  return names
}

/** The graphs in the attributes of a node. */
export function bodies({ attribute }: Node): Message<'GraphProto'>[] {
  return attribute.flatMap(({ g, graphs }) => (g ? [g, ...graphs] : graphs))
}

function captures(graph: Message<'GraphProto'>): Set<string> {
  const names = new Set(graph.output.map(({ name }) => name))
  for (const node of graph.node) for (const name of reads(node)) names.add(name)
  for (const name of declarations(graph)) names.delete(name)
  return names
}

/** The name of a node in reports: its own, otherwise its first output. */
export function nodeName({ name, output }: Node): string {
  return name || (output.find((value) => value !== '') ?? '')
}
