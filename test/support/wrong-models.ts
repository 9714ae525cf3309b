import { intsAttribute, newAttribute, setAttribute } from '../../plugin/onnx/attribute.ts'
import { bytesContent } from '../../plugin/onnx/bytes.ts'
import { setContent, tensorElements } from '../../plugin/onnx/content.ts'
import { newNode } from '../../plugin/onnx/edit.ts'
import { type EditableModel, indexScope, loadGraph } from '../../plugin/onnx/graph.ts'
import { decodeMessage, type Message, type Node } from '../../plugin/onnx/proto.ts'
import { tensorType } from '../../plugin/onnx/tensor.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { encode } from './models.ts'

/** A mistake that a compiler could make in one node. */
export interface Mistake {
  readonly what: string
  /** Whether the mistake can be made in this node. */
  fits(node: Node): boolean
  make(model: EditableModel, node: Node): Promise<void> | void
}

export const mistakes: readonly Mistake[] = [
  {
    what: 'one channel of its weights is zero',
    fits: ({ opType }) => opType === 'Conv',
    make: (model, node) => scaleChannel(model, node, 0),
  },
  {
    what: 'one channel of its weights has twice the scale',
    fits: ({ opType }) => opType === 'Conv',
    make: (model, node) => scaleChannel(model, node, 2),
  },
  {
    what: 'its result has 1.25 times the scale',
    fits: ({ opType }) => opType === 'Conv' || opType === 'MatMul',
    make: (model, node) => after(model, node, (from, to) => [newNode('Mul', [from, constant(model, 1.25)], [to])]),
  },
  {
    what: 'its window is off by one index',
    fits: (node) => node.opType === 'Conv' && (intsAttribute(node, 'pads')?.[3] ?? 0) > 0,
    make(_, node) {
      const [top = 0, left = 0, bottom = 0, right = 0] = intsAttribute(node, 'pads') ?? []
      setAttribute(node, newAttribute('pads', { ints: [top, left + 1, bottom, right - 1] }))
    },
  },
  {
    what: 'it is another activation',
    fits: ({ opType }) => Object.hasOwn(otherActivations, opType),
    make(_, node) {
      node.opType = otherActivations[node.opType]!
      node.attribute = []
    },
  },
]

const otherActivations: Readonly<Record<string, string>> = { Relu: 'Tanh', HardSigmoid: 'Tanh', Sigmoid: 'Tanh' }

/** The nodes of the main graph that can have a mistake, at these places from 0 (the first) to 1 (the last). */
export async function nodesWith(
  file: string,
  { fits }: Mistake,
  places: readonly number[],
): Promise<readonly number[]> {
  const { node } = (await loadGraph(file)).proto.graph
  const all = node.flatMap((one, index) => (fits(one) ? [index] : []))
  return all.length === 0 ? [] : places.map((place) => all[Math.round(place * (all.length - 1))]!)
}

/** Writes a copy of a model with a mistake in one node, and returns the node's operator and first output. */
export async function writeWrong(file: string, index: number, { make }: Mistake, to: string): Promise<string> {
  const model = await loadGraph(file)
  const node = model.proto.graph.node[index]!
  const name = `${node.opType} ${node.output[0]}`
  await make(model, node)
  await writeGraph({ ...model, external: false }, to)
  return name
}

async function scaleChannel(model: EditableModel, { input }: Node, factor: number): Promise<void> {
  const { constants } = indexScope({ graph: model.proto.graph })
  const tensor = constants.get(input[1]!)!
  const type = tensorType(tensor)!
  const elements = Float32Array.from((await tensorElements(model, tensor)) as Float32Array)
  const size = elements.length / type.dims[0]!
  const channel = Math.floor(type.dims[0]! / 2)
  for (let i = channel * size; i < (channel + 1) * size; i++) elements[i] = elements[i]! * factor
  setContent(model, tensor, type, bytesContent(new Uint8Array(elements.buffer)))
}

/** Puts nodes between a node and the readers of its first output. */
function after(model: EditableModel, node: Node, make: (from: string, to: string) => readonly Node[]): void {
  const { graph } = model.proto
  const [to = ''] = node.output
  const from = `${to} before`
  node.output[0] = from
  graph.node.splice(graph.node.indexOf(node) + 1, 0, ...make(from, to))
}

function constant(model: EditableModel, value: number): string {
  return initializer(model, { dataType: 1, dims: [], floatData: [value] })
}

function initializer({ proto: { graph } }: EditableModel, fields: object): string {
  const name = `wrong ${graph.initializer.length}`
  graph.initializer.push(decode({ ...fields, name }))
  return name
}

function decode(fields: object): Message<'TensorProto'> {
  return decodeMessage('TensorProto', encode('TensorProto', fields))
}
