import { dtypes } from '../../../runtime/dtype.ts'
import { newAttribute } from '../../onnx/attribute.ts'
import { nameMaker, newNode } from '../../onnx/edit.ts'
import { bodies, type EditableModel, scopesOf } from '../../onnx/graph.ts'
import type { Node } from '../../onnx/proto.ts'
import { isMainDomain } from '../../onnx/proto.ts'
import { floatSignature } from '../../onnx/signatures.ts'
import { inferTypes, mainOpset, type ValueType } from '../../onnx/types.ts'
import type { HalfDType } from './rounding.ts'

/**
 * Makes each node that computes in float16 or bfloat16 compute in float32 instead, on inputs of 16 bits, and rounds its
 * results to 16 bits, as a device does that accumulates in float32. Values keep their names and dtypes. ONNX Runtime's
 * CPU has kernels of 16 bits for few operators: without this it drops the rounding between the others, which hides
 * overflows, and it rejects bfloat16.
 *
 * Custom operators, local functions, and nodes that set the dtype of their result by an attribute stay as they are.
 */
export function emulateHalf(model: EditableModel): void {
  const types = inferTypes(model)
  const opset = mainOpset(model.proto.opsetImport)
  const newName = nameMaker(model)
  for (const scope of scopesOf(model)) {
    const wides = new Map<string, string>()
    const typeOf = (name: string) => types.of(scope, name)
    const emulated = (node: Node): Node[] => {
      const slots = halfSlots(node, opset, typeOf)
      if (!slots) return [node]
      const before: Node[] = []
      const after: Node[] = []
      node.input = node.input.map((name, index) => {
        if (!slots.inputs.has(index)) return name
        const wide = wides.get(name) ?? newName(`${name}_wide`)
        if (!wides.has(name)) before.push(cast(name, wide, 'float32'))
        wides.set(name, wide)
        return wide
      })
      node.output = node.output.map((name, index) => {
        const dtype = slots.outputs.get(index)
        if (!dtype) return name
        const exact = newName(`${name}_exact`)
        after.push(cast(exact, name, dtype))
        return exact
      })
      return [...before, node, ...after]
    }
    scope.graph.node = scope.graph.node.flatMap(emulated)
  }
}

function cast(from: string, to: string, dtype: 'float32' | HalfDType): Node {
  return newNode('Cast', [from], [to], { name: to, attribute: [newAttribute('to', { int: dtypes[dtype].code })] })
}

interface HalfSlots {
  readonly inputs: ReadonlySet<number>
  readonly outputs: ReadonlyMap<number, HalfDType>
}

/**
 * The inputs and outputs of 16 bits that can be float32 instead; undefined when there are none, or when the dtype of
 * the results does not follow from that of the inputs.
 */
function halfSlots(node: Node, opset: number, typeOf: (name: string) => ValueType | undefined): HalfSlots | undefined {
  const { opType, domain, input, output } = node
  const signature =
    isMainDomain(domain) && opType !== 'Cast' && bodies(node).length === 0 ? floatSignature(opType, opset) : undefined
  if (!signature || [...input, ...output].some((name) => typeof typeOf(name) === 'object')) return undefined
  const inputs = halves(input, typeOf)
  const outputs = halves(output, typeOf)
  const variables = new Set([...inputs.keys()].map((index) => signature.input(index)?.variable))
  const follows = [...outputs.keys()].every((index) => variables.has(signature.output(index)?.variable))
  return inputs.size > 0 && follows ? { inputs: new Set(inputs.keys()), outputs } : undefined
}

function halves(names: readonly string[], typeOf: (name: string) => ValueType | undefined): Map<number, HalfDType> {
  const positions = new Map<number, HalfDType>()
  for (const [index, name] of names.entries()) {
    const dtype = name === '' ? undefined : typeOf(name)
    if (dtype === 'float16' || dtype === 'bfloat16') positions.set(index, dtype)
  }
  return positions
}
