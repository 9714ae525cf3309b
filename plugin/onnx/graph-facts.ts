import type { StoredDType } from '../../runtime/dtype.ts'
import { type Elements, tensorElements } from './content.ts'
import { type EditableModel, indexScope, type Scope } from './graph.ts'
import { isMainDomain, type Message, type Node, safeInteger } from './proto.ts'
import { tensorType } from './tensor.ts'
import { inferTypes } from './types.ts'

/** What can be said of the values that the nodes of one graph see, without running it. */
export interface GraphFacts {
  /** Undefined where it cannot be inferred, and for sequences and optionals. */
  dtypeOf(value: string): StoredDType | undefined
  /** The declared dims, or those of a constant; null for a dim that is not a number. Undefined without a rank. */
  dimsOf(value: string): readonly (number | null)[] | undefined
  /** The elements of an initializer or Constant; undefined for any other value. */
  elementsOf(value: string): Promise<Elements | undefined>
  /** The node that makes a value; undefined for inputs, constants, and values of the graphs around. */
  producerOf(value: string): Node | undefined
  /** The value whose elements another one has, perhaps in another order or shape, and not all of them. */
  rootOf(value: string): string
  /** Whether the caller gives the value. */
  isInput(value: string): boolean
  /** Whether a node reads the value, or it is an output. */
  isUsed(value: string): boolean
}

/** Facts about the graph of a scope. */
export function createGraphFacts(model: EditableModel): (scope: Scope) => GraphFacts {
  const types = inferTypes(model)
  return (scope) => {
    const { producers, consumers, constants } = indexScope(scope)
    const { input, output, valueInfo } = scope.graph
    const declared = new Map([...input, ...valueInfo, ...output].map(({ name, type }) => [name, type]))
    const inputs = new Set(scope.parent ? [] : input.map(({ name }) => name).filter((name) => !constants.has(name)))
    const outputs = new Set(output.map(({ name }) => name))
    const constantOf = (value: string) => constants.get(value) ?? outerConstant(scope.parent, value)
    return {
      dtypeOf(value) {
        const type = types.of(scope, value)
        return typeof type === 'string' ? type : undefined
      },
      dimsOf(value) {
        const constant = constantOf(value)
        return constant ? tensorType(constant)?.dims : declaredDims(declared.get(value))
      },
      async elementsOf(value) {
        const constant = constantOf(value)
        return constant && tensorElements(model, constant)
      },
      producerOf: (value) => producers.get(value),
      rootOf: (value) => rootOf(value, producers),
      isInput: (value) => inputs.has(value),
      isUsed: (value) => consumers.has(value) || outputs.has(value),
    }
  }
}

function declaredDims(type: Message<'TypeProto'> | null | undefined): readonly (number | null)[] | undefined {
  return type?.tensorType?.shape?.dim.map((dim) =>
    Object.hasOwn(dim, 'dimValue') ? (safeInteger(dim.dimValue) ?? null) : null,
  )
}

function outerConstant(scope: Scope | undefined, value: string): Message<'TensorProto'> | undefined {
  return scope && (indexScope(scope).constants.get(value) ?? outerConstant(scope.parent, value))
}

const carriers: ReadonlySet<string> = new Set(
  'Identity Reshape Flatten Squeeze Unsqueeze Transpose Expand Tile Slice Gather'.split(' '),
)

function rootOf(value: string, producers: ReadonlyMap<string, Node>): string {
  for (let name = value, steps = 0; steps < mostSteps; steps++) {
    const producer = producers.get(name)
    const source = producer?.input[0]
    if (!producer || !source || !isMainDomain(producer.domain) || !carriers.has(producer.opType)) return name
    name = source
  }
  return value
}

// The producers of a damaged graph may form a circle.
const mostSteps = 100
