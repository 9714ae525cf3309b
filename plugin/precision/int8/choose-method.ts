import { join } from 'node:path'
import { temporaryFolder } from '../../files/temporary-folder.ts'
import { remember } from '../../measure/remember.ts'
import type { FoundSamples } from '../../samples/find.ts'
import { runWithSamples } from '../../samples/run.ts'
import type { PassRequest } from '../pass.ts'
import type { TrialSettings } from './choose-method-child.ts'
import { shuffled } from './few-samples.ts'

/** How close the graph of each way is to the original: the least cosine of its outputs. */
export type Trial = readonly (readonly [way: string, cosine: number])[]

/** What is tried, by name, and with which largest stored magnitude of a weight. */
export interface TrialPlan {
  readonly ways: readonly string[]
  readonly levels: number
}

/** To be raised when the same ranges lead to another choice. */
const version = 2

/**
 * Tries ways to quantize, such as methods of calibration, on a few of the samples, the best first. No method is best
 * for all networks: a text recognizer of mobile blocks has a cosine of 0.97 with minmax and 0.81 with entropy, a small
 * classifier is best with percentile, and no property of a single tensor explains why (H. Wu et al., "Integer
 * Quantization for Deep Learning Inference", 2020, tables 5 and 6, agree). So each method is measured where it counts,
 * at the outputs. Pinned nodes are quantized here like the others, so that pinning a node does not change the method.
 *
 * @param write writes the lowered graph of the way with this index to a file; false: it is no other than the graph
 *   before
 * @returns no ways that are no other
 * @throws OnnxEngineError SAMPLES_INVALID, BACKEND_UNAVAILABLE, COMPILE_ABORTED
 */
export async function tryWays(
  request: PassRequest,
  { source, digest }: FoundSamples,
  { ways, levels }: TrialPlan,
  write: (way: number, file: string) => Promise<boolean>,
): Promise<Trial> {
  const { backend, model, signal, options } = request
  const facts = {
    trial: version,
    ways,
    samples: digest,
    placement: backend,
    levels,
    percentile: options.calibration?.percentile ?? 100,
  }
  const worker = new URL('./choose-method-child.js', import.meta.url)
  return remember(request, { name: 'calibration method', facts }, async (module) => {
    await using folder = await temporaryFolder()
    const written: { way: string; file: string }[] = []
    for (const [index, way] of ways.entries()) {
      const file = join(folder.path, `${index}.onnx`)
      if (await write(index, file)) written.push({ way, file })
    }
    if (written.length === 0) return []
    const candidates = written.map(({ file }) => file)
    const settings = { module, candidates, optimized: backend === 'onnxruntime' } satisfies Omit<
      TrialSettings,
      'source'
    >
    const job = { settings, signal, model: model.file }
    const cosines = (await runWithSamples(worker, shuffled(source), job)) as number[]
    return written.map(({ way }, index) => [way, cosines[index]!] as const).sort(([, a], [, b]) => b - a)
  })
}
