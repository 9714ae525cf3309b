import { writeFile } from 'node:fs/promises'
import type { CheckedTensor } from '../../../runtime/session.ts'
import type { ChildTask } from '../../child/contract.ts'
import { newComparison, addSample, finish } from '../../measure/compare.ts'
import { type Onnxruntime, quiet, infer } from '../../measure/feed.ts'
import type { Sample } from '../../samples/read.ts'
import type { SampleSource } from '../../samples/source.ts'
import { fewSamples } from './few-samples.ts'

/** Settings for the comparison of calibration methods. */
export interface TrialSettings {
  readonly source: SampleSource
  /** URL of the ONNX Runtime module. */
  readonly module: string
  /** Files of the lowered graphs to try. */
  readonly candidates: readonly string[]
  /** Whether they run in int8 kernels, as on ONNX Runtime itself, or node by node. */
  readonly optimized: boolean
}

/**
 * Runs the original and each candidate on the samples, and writes the least cosine of the outputs of each candidate as
 * JSON.
 */
export const run: ChildTask = async ({ model, output, settings }, log) => {
  const { source, module, candidates, optimized } = settings as unknown as TrialSettings
  const { default: ort } = (await import(module)) as { default: Onnxruntime }
  const samples = await fewSamples(source, (state) => log('info', state))
  const expected = await inferAll(ort, model, samples, true)
  const cosines: number[] = []
  for (const file of candidates) {
    const received = await inferAll(ort, file, samples, optimized)
    const names = [...(expected[0]?.keys() ?? [])]
    cosines.push(
      Math.min(
        ...names.map((name) => {
          const comparison = newComparison(name, { atol: null, rtol: null })
          expected.forEach((outputs, index) => addSample(comparison, outputs.get(name), received[index]?.get(name)))
          return finish(comparison).cosine
        }),
      ),
    )
  }
  await writeFile(output, JSON.stringify(cosines))
}

async function inferAll(
  ort: Onnxruntime,
  file: string,
  samples: readonly Sample[],
  optimized: boolean,
): Promise<ReadonlyMap<string, CheckedTensor>[]> {
  const options = {
    executionProviders: ['cpu'],
    logSeverityLevel: 4,
    graphOptimizationLevel: optimized ? 'all' : 'disabled',
    ...quiet,
  }
  const session = await ort.InferenceSession.create(file, options)
  const results: ReadonlyMap<string, CheckedTensor>[] = []
  for (const sample of samples) results.push(await infer(ort, session, sample))
  await session.release()
  return results
}
