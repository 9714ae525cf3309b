import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { temporaryFolder } from '../files/temporary-folder.ts'
import type { FoundSamples } from '../samples/find.ts'
import type { SampleRequest } from '../samples/request.ts'
import { runWithSamples } from '../samples/run.ts'
import type { CalibrateSettings } from './calibrate-child.ts'
import type { Range } from './histogram.ts'
import { remember } from './remember.ts'

/** Raised when the same samples give other ranges. */
const version = 5

/** A graph with the same results, whose ranges are wanted instead of the model's. */
export interface Rewritten {
  /** What it is, besides the model: a part of the key. */
  readonly name: string
  readonly write: (file: string) => Promise<void>
}

/**
 * The ranges of these float32 values of the model, by running the original model on the samples in a child process. The
 * result is cached by the model, the samples and the values, so that another target does not calibrate again.
 *
 * @throws OnnxEngineError SAMPLES_INVALID, BACKEND_UNAVAILABLE, COMPILE_FAILED, COMPILE_ABORTED
 */
export async function calibrate(
  request: SampleRequest,
  { source, digest }: FoundSamples,
  values: readonly string[],
  rewritten?: Rewritten,
): Promise<ReadonlyMap<string, Range>> {
  const { model, graphFile = model.file, options, signal } = request
  const percentile = options.calibration?.percentile ?? 100
  const facts = {
    calibration: version,
    samples: digest,
    percentile,
    ...(rewritten && { graph: rewritten.name }),
    values: createHash('sha256').update(JSON.stringify(values)).digest('hex'),
  }
  const worker = new URL('./calibrate-child.js', import.meta.url)
  const ranges = await remember(request, { name: 'calibration', facts }, async (module) => {
    const settings = { module, values, percentile, digest } satisfies Omit<CalibrateSettings, 'source'>
    const observe = async (file: string) =>
      (await runWithSamples(worker, source, { settings, signal, model: file })) as [string, Range][]
    if (!rewritten) return observe(graphFile)
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'rewritten.onnx')
    await rewritten.write(file)
    return await observe(file)
  })
  return new Map(ranges)
}
