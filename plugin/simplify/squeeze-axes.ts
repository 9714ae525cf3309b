import { newAttribute } from '../onnx/attribute.ts'
import { newTensor } from '../onnx/content.ts'
import type { Scope } from '../onnx/graph.ts'
import { isMainDomain } from '../onnx/proto.ts'
import type { KnownDims } from './infer-dims.ts'

/** Writes the axes of Squeeze where dims are known: TensorRT refuses it without. Returns whether there was one. */
export function writeSqueezeAxes(
  { graph }: Scope,
  { dims, opset, makeName }: { dims: KnownDims; opset: number; makeName: (base: string) => string },
): boolean {
  let changed = false
  for (const node of graph.node) {
    const { opType, domain, input, attribute } = node
    if (opType !== 'Squeeze' || !isMainDomain(domain) || input[1] || attribute.length > 0) continue
    const known = dims.get(input[0] ?? '')
    if (!known?.every((dim) => dim !== undefined)) continue
    const axes = known.flatMap((dim, axis) => (dim === 1 ? [axis] : []))
    changed = true
    if (axes.length === 0) node.opType = 'Identity'
    else if (opset < 13) node.attribute = [newAttribute('axes', { ints: axes })]
    else {
      const name = makeName('axes')
      graph.initializer.push(newTensor(name, { dtype: 'int64', dims: [axes.length] }, BigInt64Array.from(axes, BigInt)))
      node.input = [input[0]!, name]
    }
    if (axes.length === 0) node.input = [input[0]!]
  }
  return changed
}
