import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Bindings } from '../../runtime/manifest.ts'
import { runChild } from '../child/run.ts'
import { hashFile } from '../files/hash.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import type { Comparison } from '../measure/compare.ts'
import { fixGraph } from '../onnx/fix-graph.ts'
import { loadGraph } from '../onnx/graph.ts'
import { type InnerValue, markOutputs } from '../onnx/mark-outputs.ts'
import { type Model, readModel } from '../onnx/model.ts'
import { modelBytes } from '../onnx/size.ts'
import { writeGraph } from '../onnx/write.ts'
import { compareCandidate, type ComparisonOptions, type Contest } from './compare-candidate.ts'
import { problemOf, thresholdOf } from './limits.ts'
import { emulateLowered } from './lowered-candidate.ts'
import type { Candidate } from './opened.ts'
import { runsHere, type VerifyRequest } from './request.ts'

/** A value inside the graph, how far an engine is from its opponent there, and why that is too far. */
export interface ComparedValue extends InnerValue {
  readonly comparison: Comparison
  readonly problem: string | undefined
}

/** Values that one engine gives as outputs: more of them would change too much of what a compiler fuses. */
export const mostMarked = 48

/**
 * Compares inner values, with an engine that gives them as outputs: a copy of the model, with these values as outputs,
 * is lowered and compiled as the engine was, and so is its opponent. Values that it does not give are left out.
 *
 * @throws OnnxEngineError VERIFICATION_FAILED when nothing can be compared, and what compilers and comparisons throw
 */
export async function compareValues(
  contest: Contest,
  values: readonly InnerValue[],
  options: ComparisonOptions = {},
): Promise<readonly ComparedValue[]> {
  const { request } = contest
  const { against } = request
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'marked.onnx')
  const graph = await loadGraph(request.model.file)
  markOutputs(graph, values)
  await writeGraph({ ...graph, external: false }, file)
  const model = { ...(await readModel(file)), name: request.name }
  const candidate = await markedCandidate(request, model, join(folder.path, 'engine'))
  const reference = against && (await markedCandidate(against, model, join(folder.path, 'against')))
  const marked = { ...contest, request: { ...request, model } }
  const { outputs, skipped } = await compareCandidate(marked, candidate, { ...options, reference })
  if (skipped !== undefined && outputs.length === 0)
    throw new OnnxEngineError('VERIFICATION_FAILED', `${request.name}: ${skipped}`)
  const threshold = thresholdOf(request)
  const byName = new Map(outputs.map((comparison) => [comparison.name, comparison]))
  return values.flatMap((value) => {
    const comparison = byName.get(value.name)
    return comparison ? [{ ...value, comparison, problem: problemOf(comparison, threshold) }] : []
  })
}

/** The marked model, compiled as an engine was. An engine for a GPU is emulated by its lowered graph. */
async function markedCandidate(request: VerifyRequest, model: Model, output: string): Promise<Candidate> {
  const { name, signal, plan, pass, manifest, backend } = request
  const onnx = `${output}.onnx`
  const graph = await loadGraph(model.file)
  if (plan.fixDims) fixGraph(graph, manifest.bindings)
  const silent = { ...request, log: () => {}, warn: () => {} }
  const isEmulated = !runsHere.has(backend)
  // The request has the original model: what samples show of it was measured and cached when the engine was built.
  if (isEmulated) await emulateLowered(graph, silent)
  else await pass?.lower(graph, silent)
  await writeGraph({ ...graph, external: false }, onnx)
  if (isEmulated) return { onnx }
  await runChild(
    plan.worker,
    { name, model: onnx, output, settings: plan.settings },
    { signal, modelBytes: modelBytes(model) },
  )
  const [variant] = manifest.variants
  const { size } = await stat(output)
  const marked = { ...variant!, file: pathToFileURL(output).href, size, sha256: await hashFile(output) }
  return { manifest: { ...manifest, bindings: markedBindings(manifest.bindings, model), variants: [marked] } }
}

/** Outputs of the engine keep their dtype, which the options may change. */
function markedBindings({ inputs, outputs }: Bindings, model: Model): Bindings {
  const own = new Map(outputs.map((output) => [output.name, output]))
  return { inputs, outputs: model.bindings.outputs.map((output) => own.get(output.name) ?? output) }
}
