import { intsAttribute } from '../onnx/attribute.ts'
import type { Node } from '../onnx/proto.ts'

/** Dims of values that the graph shows, by name; 0 where a dim is not known. */
type Dims = ReadonlyMap<string, readonly number[]>

/** Lists of numbers that a node takes as one of its inputs, where they have to fit each other; empty for any other. */
export function listsOf(node: Node, position: number, dims: Dims): readonly (readonly number[])[] {
  const shape = dims.get(node.input[0] ?? '') ?? []
  if (node.opType === 'Reshape' && position === 1) return reshapes(dims.get(node.input[1] ?? '')?.[0] ?? 0)
  if (node.opType !== 'Resize' || shape.length === 0) return []
  if (position === 2) return resizes(node, shape, (_, factor) => factor)
  // A size needs all dims.
  if (position !== 3 || shape.includes(0)) return []
  return resizes(node, shape, (size, factor) => Math.max(1, Math.round(size * factor)))
}

/** Shapes for any number of elements, of which one dim takes all. */
function reshapes(rank: number): readonly (readonly number[])[] {
  return Array.from({ length: rank }, (_, open) => Array.from({ length: rank }, (_, axis) => (axis === open ? -1 : 1)))
}

/** What resizes the axes of an image by some factors, and leaves batches and channels alone. */
function resizes(
  node: Node,
  shape: readonly number[],
  resized: (size: number, factor: number) => number,
): readonly (readonly number[])[] {
  const axes = intsAttribute(node, 'axes') ?? shape.map((_, axis) => axis)
  const isKept = (axis: number) => axis >= 0 && axis < 2 && shape.length > 2
  return factors.map((factor) => axes.map((axis) => resized(shape.at(axis) ?? 0, isKept(axis) ? 1 : factor)))
}

const factors = [0.6, 1.5, 2, 0.5]
