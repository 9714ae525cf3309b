import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bindings } from '../../runtime/manifest.ts'
import { fixGraph } from '../onnx/fix-graph.ts'
import { loadGraph } from '../onnx/graph.ts'
import { modelBytes } from '../onnx/size.ts'
import { writeGraph } from '../onnx/write.ts'
import { simplifyModel } from '../simplify/simplify.ts'
import type { Lowered, PrecisionPass, PassRequest } from './pass.ts'

/** The changes of a pass, and the size before and after. */
export type LoweringReport = Lowered & {
  /** Bytes of the model, external data included, before and after. */
  readonly bytes: { readonly before: number; readonly after: number }
}

/** A lowered model on disk and the report about it. */
export interface LoweredModel {
  /** Path of the .onnx file; weights of more than 2 GB are next to it, in `<file>.data`. */
  readonly file: string
  readonly report: LoweringReport
}

/** Where a lowered model is written: a folder, and the bindings whose static dims its inputs get, if there are any. */
export interface LoweringTarget {
  readonly into: string
  readonly bindings?: Bindings | undefined
  /** A second path to write the model to, for the user. */
  readonly keep?: string | undefined
}

/**
 * Lowers a model and writes it into a folder.
 *
 * @throws OnnxEngineError what the pass throws, such as PRECISION_UNSUPPORTED or SAMPLES_INVALID
 */
export async function lowerModel(
  pass: PrecisionPass,
  request: PassRequest,
  { into, bindings, keep }: LoweringTarget,
): Promise<LoweredModel> {
  const file = join(into, 'model.onnx')
  const graphFile = request.graphFile ?? (await simplified(request, into))
  const graph = await loadGraph(graphFile ?? request.model.file)
  if (bindings) fixGraph(graph, bindings)
  const lowered = await pass.lower(graph, { ...request, graphFile })
  // A backend's own file can take weights in, but must not point to the model's, which may change.
  await writeGraph({ ...graph, external: false }, file)
  if (keep !== undefined) await writeGraph({ ...graph, external: false }, keep)
  const after = (await sizeOf(file)) + (await sizeOf(`${file}.data`))
  for (const note of lowered.notes) request.log(`${request.name}: ${note}`)
  const bytes = { before: modelBytes(request.model), after }
  return { file, report: { ...lowered, bytes } }
}

async function simplified(request: PassRequest, into: string): Promise<string | undefined> {
  const { simplify } = request
  return simplify && simplifyModel({ ...request, bindings: simplify }, into)
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  )
}
