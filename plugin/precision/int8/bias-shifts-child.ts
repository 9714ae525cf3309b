import { writeFile } from 'node:fs/promises'
import type { ChildTask } from '../../child/contract.ts'
import { feedsOf, type Onnxruntime, quiet } from '../../measure/feed.ts'
import type { SampleSource } from '../../samples/source.ts'
import { fewSamples } from './few-samples.ts'

/** The result of a node, and the output of the shadowed graph that has its mean errors. */
export type ShadowedResult = readonly [result: string, error: string]

/** Settings for the measurement of what biases should make up for. */
export interface ShiftSettings {
  readonly source: SampleSource
  /** URL of the ONNX Runtime module. */
  readonly module: string
  readonly results: readonly ShadowedResult[]
}

/**
 * Runs a graph whose outputs are the sums of errors in each channel, over the number of all elements, and writes the
 * mean errors of each result as JSON. Runs in a child process.
 */
export const run: ChildTask = async ({ model, output, settings }, log) => {
  const { source, module, results } = settings as unknown as ShiftSettings
  const { default: ort } = (await import(module)) as { default: Onnxruntime }
  // Optimized, it would multiply in 8 bits again; what it must show is the error of rounding alone.
  const options = { executionProviders: ['cpu'], logSeverityLevel: 4, graphOptimizationLevel: 'disabled', ...quiet }
  const session = await ort.InferenceSession.create(model, options)
  const sums = results.map((): number[] => [])
  const samples = await fewSamples(source, (state) => log('info', state))
  for (const sample of samples) {
    const errors = await session.run(feedsOf(ort, sample))
    results.forEach(([, name], index) => {
      const shares = errors[name]!.data as Float32Array
      shares.forEach((share, channel) => {
        sums[index]![channel] = (sums[index]![channel] ?? 0) + share * shares.length
      })
    })
  }
  await session.release()
  const means = results.map(([result], index) => [result, sums[index]!.map((sum) => sum / samples.length)] as const)
  // Where numbers overflow there is no mean.
  await writeFile(output, JSON.stringify(means.filter(([, shifts]) => shifts.every(Number.isFinite))))
}
