import { intAttribute, newAttribute, stringAttribute } from '../../onnx/attribute.ts'
import type { Node } from '../../onnx/proto.ts'
import { type Kit, lengthOf, unsqueeze } from './kit.ts'

/**
 * TensorScatter of opset 24: writes an update into a cache along an axis, from a place for each batch on; `circular`
 * goes on at the beginning.
 */
export function decomposeTensorScatter(node: Node, kit: Kit): boolean {
  const [cache = '', update = '', places = ''] = node.input
  const rank = kit.dims(cache)?.length
  if (rank === undefined) return false
  const given = intAttribute(node, 'axis') ?? -2
  const axis = given < 0 ? given + rank : given
  if (axis === 0) return false
  const [zero, one] = [0n, 1n].map((value) => kit.constant('int64', [], BigInt64Array.of(value))) as [string, string]
  const range = kit.op('Range', [zero, lengthOf(kit, update, axis), one])
  const along = Array.from({ length: rank }, (_, at) => at).filter((at) => at !== axis)
  const steps = unsqueeze(kit, range, ...along)
  const starts =
    places === '' ? undefined : unsqueeze(kit, places, ...Array.from({ length: rank - 1 }, (_, at) => at + 1))
  const sum = starts === undefined ? steps : kit.op('Add', [steps, starts])
  const isCircular = stringAttribute(node, 'mode') === 'circular'
  const wrapped = isCircular ? kit.op('Mod', [sum, lengthOf(kit, cache, axis)]) : sum
  const indices = kit.op('Expand', [wrapped, kit.op('Shape', [update])])
  const attributes = [newAttribute('axis', { int: axis })]
  kit.op('ScatterElements', [cache, indices, update], { attributes, output: node.output[0] })
  return true
}
