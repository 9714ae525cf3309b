import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { onnxruntime } from '../backend/onnxruntime.ts'
import { cacheKey, type Facts, sourceFacts } from '../cache/key.ts'
import { readSource } from '../cache/source.ts'
import type { Calibration } from '../options.ts'
import type { CalibrateSettings } from './calibrate-child.ts'
import type { Range } from './histogram.ts'
import type { PassRequest } from './index.ts'
import { digestSamples, findSamples, runWithSamples, type SampleOption, type SampleSource } from './samples.ts'

/** The samples of a model, by their content. */
export interface FoundSamples {
  readonly source: SampleSource
  readonly digest: string
}

/** Raised when the same samples give other ranges. */
const version = 4

/**
 * The samples that `calibration` names and their digest; undefined when there is no such option. A module runs for it,
 * once for all engines of a compilation. `option` is what messages call it.
 *
 * @throws OnnxEngineError SAMPLES_INVALID
 */
export async function modelSamples(
  { name, model, options, root, store, signal }: PassRequest,
  option: SampleOption = 'calibration',
): Promise<FoundSamples | undefined> {
  const { calibration } = options
  if (!calibration) return undefined
  const known = found.get(model) ?? new Map<Calibration, Promise<FoundSamples>>()
  found.set(model, known)
  const pending = known.get(calibration) ?? find()
  known.set(calibration, pending)
  return pending

  async function find(): Promise<FoundSamples> {
    const source = await findSamples(calibration!, { name, option, inputs: model.bindings.inputs }, root)
    return { source, digest: await digestSamples(source, store.statIndex, signal) }
  }
}

const found = new WeakMap<PassRequest['model'], Map<Calibration, Promise<FoundSamples>>>()

/**
 * The ranges of these float32 values of the model, by running the original model on the samples in a child process. The
 * result is cached by the model, the samples and the values, so that another target does not calibrate again.
 *
 * @throws OnnxEngineError SAMPLES_INVALID, BACKEND_UNAVAILABLE, COMPILE_FAILED, COMPILE_ABORTED
 */
export async function calibrate(
  request: PassRequest,
  { source, digest }: FoundSamples,
  values: readonly string[],
): Promise<ReadonlyMap<string, Range>> {
  const { model, options, signal } = request
  const percentile = options.calibration?.percentile ?? 100
  const facts = {
    calibration: version,
    samples: digest,
    percentile,
    values: createHash('sha256').update(JSON.stringify(values)).digest('hex'),
  }
  const ranges = await remembered(request, 'calibration', facts, async (module) => {
    const settings = { module, values, percentile, digest } satisfies Omit<CalibrateSettings, 'source'>
    return (await runWithSamples(
      new URL('./calibrate-child.js', import.meta.url),
      source,
      settings,
      signal,
      model.file,
    )) as [string, Range][]
  })
  return new Map(ranges)
}

/**
 * What ONNX Runtime finds out about a model, as JSON, cached by the model and the facts.
 *
 * @param what names it in the cache's history
 * @param find is given the URL of the ONNX Runtime module
 * @throws OnnxEngineError BACKEND_UNAVAILABLE, and what `find` throws
 */
export async function remembered<T>(
  request: PassRequest,
  what: string,
  facts: Facts,
  find: (module: string) => Promise<T>,
): Promise<T> {
  const { name, model, options, root, store, signal } = request
  const probe = await onnxruntime.probe(options, root)
  if (!probe.available) {
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${name}: calibration`, {
      expected: 'ONNX Runtime, which runs the samples',
      received: probe.reason,
      ...(probe.hint && { hint: probe.hint }),
    })
  }
  const key = cacheKey({
    ...sourceFacts((await readSource(model.file, store.statIndex)).source),
    ...facts,
    onnxruntime: probe.version,
  })
  const family = `${relative(root, model.file).replaceAll('\\', '/')} ${what}`
  const { artifact } = await store.getOrBuild({ key, family, label: name, signal }, async (output) => {
    await writeFile(output, JSON.stringify(await find(probe.detail['module'] as string)))
  })
  return JSON.parse(await readFile(artifact.file, 'utf8')) as T
}
