import { join } from 'node:path'
import { temporaryFolder } from '../../files/temporary-folder.ts'
import { remember } from '../../measure/remember.ts'
import type { FoundSamples } from '../../samples/find.ts'
import { runWithSamples } from '../../samples/run.ts'
import type { SampleSource } from '../../samples/source.ts'
import type { PassRequest } from '../pass.ts'
import type { TrialSettings } from './choose-method-child.ts'

/** How close the graph of each way is to the original: the least cosine of its outputs. */
export type Trial<Way extends string> = readonly (readonly [way: Way, cosine: number])[]

/** What is tried, and with which largest stored magnitude of a weight. */
export interface TrialPlan<Way extends string> {
  readonly ways: readonly Way[]
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
 * @param write writes the lowered graph of a way to a file
 * @throws OnnxEngineError SAMPLES_INVALID, BACKEND_UNAVAILABLE, COMPILE_ABORTED
 */
export async function tryWays<Way extends string>(
  request: PassRequest,
  { source, digest }: FoundSamples,
  { ways, levels }: TrialPlan<Way>,
  write: (way: Way, file: string) => Promise<void>,
): Promise<Trial<Way>> {
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
    const candidates = ways.map((way) => join(folder.path, `${way}.onnx`))
    for (const [index, way] of ways.entries()) await write(way, candidates[index]!)
    const optimized = backend === 'onnxruntime'
    const settings = { module, candidates, optimized } satisfies Omit<TrialSettings, 'source'>
    const cosines = (await runWithSamples(worker, shuffled(source), {
      settings,
      signal,
      model: model.file,
    })) as number[]
    return ways.map((way, index): Trial<Way>[number] => [way, cosines[index]!]).sort(([, a], [, b]) => b - a)
  })
}

function shuffled(source: SampleSource): SampleSource {
  if (source.kind === 'arrays') return { ...source, groups: shuffle(source.groups) }
  return source.kind === 'images' ? { ...source, files: shuffle(source.files) } : source
}

// Neighbours are often alike. In the order of i * phi modulo 1, any number of the first ones is spread over the list.
function shuffle<T>(list: readonly T[]): T[] {
  return list
    .map((item, index) => ({ item, place: (index * golden) % 1 }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item)
}

const golden = (Math.sqrt(5) - 1) / 2
