import { type EditableModel, indexScope } from '../onnx/graph.ts'
import type { Node } from '../onnx/proto.ts'

const makers: ReadonlySet<string> = new Set(['Sigmoid', 'HardSigmoid', 'Softmax'])

/** Operators whose output has elements of their first input. */
const carriers: ReadonlySet<string> = new Set(
  'Identity Cast Reshape Transpose Squeeze Unsqueeze Flatten Slice Gather Expand'.split(' '),
)

/**
 * The outputs of the main graph that are probabilities, because an operator makes them so. Their range is 1 even where
 * all elements are near zero, as those of a detector that finds nothing in random inputs.
 */
export function probabilities({ proto: { graph } }: EditableModel): ReadonlySet<string> {
  const { producers } = indexScope({ graph })
  const isProbability = (name: string): boolean => {
    let node: Node | undefined = producers.get(name)
    for (let steps = 0; node && carriers.has(node.opType) && steps < graph.node.length; steps++)
      node = producers.get(node.input[0] ?? '')
    return node !== undefined && makers.has(node.opType)
  }
  return new Set(graph.output.map(({ name }) => name).filter(isProbability))
}
