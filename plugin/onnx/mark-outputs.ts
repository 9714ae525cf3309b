import { dtypes } from '../../runtime/dtype.ts'
import { type EditableModel, indexScope, nodeName } from './graph.ts'
import { newMessage } from './proto.ts'
import { inferTypes } from './types.ts'

/** A value inside a graph, and the node that makes it. */
export interface InnerValue {
  readonly name: string
  readonly dtype: string
  /** The node's own name, or that of its first output. */
  readonly node: string
  readonly operator: string
}

/** The tensors that the nodes of the main graph make, in the order of the nodes; without those of unknown dtypes. */
export function innerValues(model: EditableModel): readonly InnerValue[] {
  const { graph } = model.proto
  const scope = { graph }
  const types = inferTypes(model)
  const { constants } = indexScope(scope)
  return graph.node.flatMap((node) =>
    node.output.flatMap((name) => {
      const dtype = types.of(scope, name)
      if (name === '' || constants.has(name) || typeof dtype !== 'string' || dtypes[dtype].array === null) return []
      return [{ name, dtype, node: nodeName(node), operator: node.opType }]
    }),
  )
}

/** Makes inner values outputs of the graph, so that they can be looked at. Their shapes stay undeclared. */
export function markOutputs({ proto: { graph } }: EditableModel, values: readonly InnerValue[]): void {
  const present = new Set(graph.output.map(({ name }) => name))
  for (const { name, dtype } of values) {
    if (present.has(name)) continue
    const elemType = dtypes[dtype as keyof typeof dtypes].code
    const type = newMessage('TypeProto', { tensorType: newMessage('TensorTypeProto', { elemType }) })
    graph.output.push(newMessage('ValueInfoProto', { name, type }))
  }
}
