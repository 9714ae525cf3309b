import { attributeOf, newAttribute } from '../../onnx/attribute.ts'
import { newTensor, smallElements } from '../../onnx/content.ts'
import { newNode } from '../../onnx/edit.ts'
import type { Node } from '../../onnx/proto.ts'
import { isMainDomain } from '../../onnx/proto.ts'
import { type HalfDType, roundToHalf } from './rounding.ts'

/**
 * The float32 that a ConstantOfShape fills its result with, which makes it as good as a constant; undefined for all
 * other nodes.
 */
export function fillingOf(node: Node): number | undefined {
  if (node.opType !== 'ConstantOfShape' || !isMainDomain(node.domain)) return undefined
  const value = attributeOf(node, 'value')
  if (!value) return 0
  const elements = value.t && smallElements(value.t)
  return elements instanceof Float32Array ? elements[0] : undefined
}

/** A ConstantOfShape of the same shape whose result is the same number in 16 bits. */
export function halfFilling({ input }: Node, filling: number, name: string, dtype: HalfDType): Node {
  const tensor = newTensor('', { dtype, dims: [1] }, Uint16Array.from(roundToHalf[dtype](Float32Array.of(filling))))
  return newNode('ConstantOfShape', [...input], [name], { name, attribute: [newAttribute('value', { tensor })] })
}
