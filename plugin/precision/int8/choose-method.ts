import { join } from 'node:path'
import { temporaryFolder } from '../../files/temporary-folder.ts'
import { remember } from '../../measure/remember.ts'
import { type CalibrationMethod, calibrationMethods } from '../../options/types.ts'
import type { FoundSamples } from '../../samples/find.ts'
import { runWithSamples } from '../../samples/run.ts'
import type { SampleSource } from '../../samples/source.ts'
import type { PassRequest } from '../pass.ts'
import type { TrialSettings } from './choose-method-child.ts'

/** How close the graph of each method came to the original: least cosine of its outputs. */
export type Trial = readonly (readonly [method: CalibrationMethod, cosine: number])[]

/** Raised when the same ranges give another choice. */
const version = 1

/**
 * Tries the methods of calibration on a few of the samples, the best first. No method is best for all nets: a text
 * recogniser of mobile blocks has a cosine of 0.97 with minmax and 0.81 with entropy, a small classifier is best with
 * percentile, and nothing that is known of a tensor by itself tells why (H. Wu et al., "Integer Quantization for Deep
 * Learning Inference", 2020, tables 5 and 6, come to the same). So each is measured where it counts, at the outputs.
 * Nodes that the options pin count as quantized, so that pinning one changes nothing else.
 *
 * @param write writes the lowered graph of a method to a file
 * @throws OnnxEngineError SAMPLES_INVALID, BACKEND_UNAVAILABLE, COMPILE_ABORTED
 */
export async function tryMethods(
  request: PassRequest,
  { source, digest }: FoundSamples,
  levels: number,
  write: (method: CalibrationMethod, file: string) => Promise<void>,
): Promise<Trial> {
  const { backend, model, signal, options } = request
  const facts = {
    trial: version,
    samples: digest,
    placement: backend,
    levels,
    percentile: options.calibration?.percentile ?? 100,
  }
  const worker = new URL('./choose-method-child.js', import.meta.url)
  return remember(request, { name: 'calibration method', facts }, async (module) => {
    await using folder = await temporaryFolder()
    const candidates = calibrationMethods.map((method) => join(folder.path, `${method}.onnx`))
    for (const [index, method] of calibrationMethods.entries()) await write(method, candidates[index]!)
    const optimized = backend === 'onnxruntime'
    const settings = { module, candidates, optimized } satisfies Omit<TrialSettings, 'source'>
    const cosines = (await runWithSamples(worker, mixed(source), { settings, signal, model: model.file })) as number[]
    return calibrationMethods
      .map((method, index): Trial[number] => [method, cosines[index]!])
      .sort(([, a], [, b]) => b - a)
  })
}

function mixed(source: SampleSource): SampleSource {
  if (source.kind === 'arrays') return { ...source, groups: mix(source.groups) }
  return source.kind === 'images' ? { ...source, files: mix(source.files) } : source
}

// Neighbours are often alike: in the order of i * phi modulo 1 any number of the first ones come from all over.
function mix<T>(list: readonly T[]): T[] {
  return list
    .map((item, index) => ({ item, place: (index * golden) % 1 }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item)
}

const golden = (Math.sqrt(5) - 1) / 2
