import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bindings } from '../../runtime/manifest.ts'
import { inTemporaryFolder } from '../files/temporary-folder.ts'
import { fixGraph } from '../onnx/fix-graph.ts'
import { loadGraph } from '../onnx/graph.ts'
import { modelBytes } from '../onnx/size.ts'
import { writeGraph } from '../onnx/write.ts'
import type { Lowered, PrecisionPass, PassRequest } from './pass.ts'

/** What a pass did, and what it did to the size. */
export type LoweringReport = Lowered & {
  /** Bytes of the model, external data included, before and after. */
  readonly bytes: { readonly before: number; readonly after: number }
}

/**
 * Writes the lowered model into a folder of its own inside `folder`, hands it to `use`, and removes it. Its inputs get
 * the static dims of `bindings`, if there are any.
 */
export async function lowerModel(
  pass: PrecisionPass,
  request: PassRequest,
  folder: string,
  use: (file: string) => Promise<void>,
  bindings?: Bindings,
): Promise<LoweringReport> {
  return inTemporaryFolder(async (inside) => {
    const file = join(inside, 'model.onnx')
    const graph = await loadGraph(request.model.file)
    if (bindings) fixGraph(graph, bindings)
    const lowered = await pass.lower(graph, request)
    // A backend's own file can take weights in, but not point to ones that are about to be removed.
    await writeGraph({ ...graph, external: false }, file)
    const after = (await sizeOf(file)) + (await sizeOf(`${file}.data`))
    const seen = await pass.inspect?.(file, request)
    const notes = [...lowered.notes, ...(seen?.notes ?? [])]
    for (const note of notes) request.log(`${request.name}: ${note}`)
    for (const warning of seen?.warnings ?? []) request.warn(`${request.name}: ${warning}`)
    await use(file)
    return {
      ...lowered,
      notes: [...notes, ...(seen?.warnings ?? [])],
      bytes: { before: modelBytes(request.model), after },
    }
  }, folder)
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  )
}
