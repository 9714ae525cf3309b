import { newAttribute } from '../onnx/attribute.ts'
import { bodies, indexScope, type Scope } from '../onnx/graph.ts'
import { isMainDomain, type Message, type Node } from '../onnx/proto.ts'

/** Finds the fixed value of a name as the nodes of a graph see it. */
export type FindConstant = (name: string) => Message<'TensorProto'> | undefined

/** The constants of a graph and of those around it; a value that a graph makes itself hides one outside. */
export function constantsOf(scope: Scope): FindConstant {
  const index = indexScope(scope)
  const inputs = new Set(scope.graph.input.map(({ name }) => name))
  const outer = scope.parent && constantsOf(scope.parent)
  return (name) => {
    const own = index.constants.get(name)
    if (own) return own
    return index.producers.has(name) || inputs.has(name) ? undefined : outer?.(name)
  }
}

// Random numbers are drawn anew in each run.
const random = /^(?:Random|Bernoulli|Multinomial)/

// Compilers find the quantized weights of a model by these.
const quantizing: ReadonlySet<string> = new Set(['QuantizeLinear', 'DequantizeLinear'])

/** Whether the result of a node depends on nothing but its inputs, and may be stored instead of it. */
export function isFoldable(node: Node): boolean {
  const { opType, domain } = node
  if (!isMainDomain(domain) || random.test(opType) || quantizing.has(opType) || bodies(node).length > 0) return false
  if (opType === 'Constant') return !node.attribute.some(({ name }) => name === 'value' || name === 'sparse_value')
  return opType !== 'Dropout' && !opType.startsWith('Sequence') && !opType.startsWith('Optional')
}

/** Turns a node of one output into a Constant. */
export function makeConstant(node: Node, value: Message<'TensorProto'>): void {
  const attribute = [newAttribute('value', { tensor: value })]
  Object.assign(node, { opType: 'Constant', domain: '', input: [], attribute })
}
