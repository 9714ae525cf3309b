import { elementCount } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Binding } from '../../runtime/manifest.ts'
import { importKeyOf } from '../cache/import-records.ts'
import { cacheKey } from '../cache/key.ts'
import { storedJson } from '../cache/stored-json.ts'
import { fixBindings } from '../options/engine-bindings.ts'
import type { Profile, Shapes } from '../options/types.ts'
import type { SampleDims } from './dims-child.ts'
import { typicalSamples } from './find.ts'
import type { SampleRequest } from './request.ts'
import { runWithSamples } from './run.ts'

/**
 * The optimization profile that `profiles: 'auto'` stands for: for each dynamic input from the smallest to the largest
 * of each dim in the samples, tuned for the dims that most samples have. None for a model of fixed dims. The dims of
 * the samples are cached by their content.
 *
 * @throws OnnxEngineError SHAPE_INVALID without samples, or when their ranks differ; SAMPLES_INVALID
 */
export async function profilesFromSamples(request: SampleRequest): Promise<readonly Profile[]> {
  const { name, model, options } = request
  const dynamic = fixBindings(model.bindings, options.shapes).inputs.filter(isDynamic)
  if (dynamic.length === 0) return []
  const found = await dimsOfSamples(request)
  if (found) return [profileOf(name, dynamic, found)]
  throw new OnnxEngineError('SHAPE_INVALID', `model '${name}': profiles`, {
    expected: `samples for 'auto', which show the dims of ${dynamic.map((input) => `'${input.name}'`).join(', ')}`,
    received: 'none',
    hint: `Give samples by 'verify.samples' or 'calibration', or list the profiles`,
  })
}

function isDynamic({ dims }: Binding): boolean {
  return dims === null || dims.some((dim) => typeof dim !== 'number')
}

async function dimsOfSamples(request: SampleRequest): Promise<readonly SampleDims[] | undefined> {
  const samples = await typicalSamples(request)
  if (!samples) return undefined
  const { root, model, name, store, signal } = request
  const key = cacheKey({ kind: 'dims of samples', samples: samples.digest })
  const entry = { key, importKey: importKeyOf(root, model.file, 'dims of samples'), label: name, signal }
  const worker = new URL('./dims-child.js', import.meta.url)
  return (await storedJson(store, entry, () =>
    runWithSamples(worker, samples.source, { signal }),
  )) as readonly SampleDims[]
}

function profileOf(name: string, inputs: readonly Binding[], found: readonly SampleDims[]): Profile {
  const usual = found.reduce((best, other) => (isMoreUsual(other, best) ? other : best))
  const bound = (pick: (...values: number[]) => number): Shapes =>
    Object.fromEntries(inputs.map((input) => [input.name, across(pick, dimsOf(name, input.name, found))]))
  const opt = Object.fromEntries(inputs.map((input) => [input.name, usual.dims[input.name] ?? []]))
  return { min: bound(Math.min), opt, max: bound(Math.max) }
}

// Of combinations that are as frequent, the largest: TensorRT tunes for it.
function isMoreUsual(one: SampleDims, other: SampleDims): boolean {
  if (one.samples !== other.samples) return one.samples > other.samples
  return elementsOf(one) > elementsOf(other)
}

function elementsOf({ dims }: SampleDims): number {
  return Object.values(dims).reduce((sum, list) => sum + elementCount(list), 0)
}

function dimsOf(name: string, input: string, found: readonly SampleDims[]): readonly (readonly number[])[] {
  const all = found.map(({ dims }) => dims[input] ?? [])
  const ranks = [...new Set(all.map((dims) => dims.length))]
  if (ranks.length === 1) return all
  throw new OnnxEngineError('SHAPE_INVALID', `model '${name}': profiles, input '${input}'`, {
    expected: 'samples of one rank, since a profile has bounds for each dim',
    received: `ranks ${ranks.join(' and ')}`,
  })
}

function across(pick: (...values: number[]) => number, all: readonly (readonly number[])[]): readonly number[] {
  return (all[0] ?? []).map((_, axis) => pick(...all.map((dims) => dims[axis] ?? 0)))
}
