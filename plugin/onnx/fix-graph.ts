import { join } from 'node:path'
import type { Bindings } from '../../runtime/manifest.ts'
import { inTemporaryFolder } from '../files/temporary-folder.ts'
import { loadGraph, type EditableModel } from './graph.ts'
import { int64, newMessage } from './proto.ts'
import { writeGraph } from './write.ts'

/**
 * Writes a model whose inputs have the static dims of `bindings` into a folder of its own inside `folder`, hands it to
 * `use`, and removes it.
 */
export async function fixModel(
  bindings: Bindings,
  source: string,
  folder: string,
  use: (file: string) => Promise<void>,
): Promise<void> {
  await inTemporaryFolder(async (inside) => {
    const file = join(inside, 'model.onnx')
    const graph = await loadGraph(source)
    fixGraph(graph, bindings)
    await writeGraph(graph, file)
    await use(file)
  }, folder)
}

/**
 * Gives the inputs of a graph the static dims of `bindings`, which `fixBindings` made of its own; other dims stay as
 * they are. Outputs are left to the backend's own inference: exporters reuse a name for dims that differ.
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
