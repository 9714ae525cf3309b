import type { Bindings } from '../../runtime/manifest.ts'
import { loadGraph, type EditableModel } from './graph.ts'
import { int64, newMessage } from './proto.ts'
import { writeGraph } from './write.ts'

/** Writes a copy of a model, whose inputs have the static dims of `bindings`, to `target`. */
export async function fixModel(bindings: Bindings, source: string, target: string): Promise<void> {
  const graph = await loadGraph(source)
  fixGraph(graph, bindings)
  await writeGraph(graph, target)
}

/**
 * Gives the inputs of a graph the static dims of `bindings`, which `fixBindings` made from its own; other dims stay as
 * they are. The backend infers the outputs itself: exporters use one name for dims that differ.
 */
export function fixGraph({ proto: { graph } }: EditableModel, { inputs }: Bindings): void {
  const fixed = new Map(inputs.map(({ name, dims }) => [name, dims]))
  for (const { name, type } of graph.input) {
    const dims = fixed.get(name)
    const tensor = type?.tensorType
    if (!tensor || !dims?.some((dim) => typeof dim === 'number')) continue
    const before = tensor.shape?.dim ?? []
    const dim = dims.map((dim, axis) =>
      typeof dim === 'number'
        ? newMessage('DimensionProto', { dimValue: int64(dim) })
        : (before[axis] ?? newMessage('DimensionProto', {})),
    )
    tensor.shape = newMessage('TensorShapeProto', { dim })
  }
}
