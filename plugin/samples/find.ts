import { createHash } from 'node:crypto'
import { extname, resolve, basename } from 'node:path'
import { pathToFileURL } from 'node:url'
import { glob } from 'tinyglobby'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { type Json, canonicalJson } from '../cache/key.ts'
import type { StatIndex } from '../cache/stat-index.ts'
import { hashFile } from '../files/hash.ts'
import type { Calibration } from '../options/schema.ts'
import type { SampleRequest } from './request.ts'
import { runWithSamples } from './run.ts'
import { type SampleSource, where, type SampleOption } from './source.ts'

/**
 * Finds the samples of a model; nothing is read yet. Paths start from `root`. Files are taken in the order of their
 * names.
 *
 * @throws OnnxEngineError SAMPLES_INVALID when nothing matches, or a file's name does not show which input it is for.
 */
export async function findSamples(
  calibration: Calibration,
  model: Pick<SampleSource, 'name' | 'option' | 'inputs'>,
  root: string,
): Promise<SampleSource> {
  const text = calibration.images ?? calibration.samples ?? ''
  const { limit, timeout, preprocess } = calibration
  const shared = { ...model, text, limit, timeout }
  const place = where(shared)
  if (calibration.samples !== undefined && moduleTypes.has(extname(text))) {
    return { ...shared, kind: 'module', url: pathToFileURL(resolve(root, text)).href }
  }
  const found = (await glob([text.replaceAll('\\', '/')], { cwd: root, absolute: true })).sort()
  const types = calibration.images === undefined ? arrayTypes : imageTypes
  const files = found
    .filter((file) => types.includes(extname(file).toLowerCase()))
    .slice(0, limit * Math.max(1, model.inputs.length))
  if (files.length === 0) {
    const received =
      found.length === 0 ? 'none' : `${found.length} files of other types, such as ${basename(found[0]!)}`
    throw new OnnxEngineError('SAMPLES_INVALID', place, {
      expected: `files that match, of type ${types.join(' or ')}`,
      received,
      hint: `The path starts from ${root}`,
    })
  }
  if (calibration.images !== undefined && preprocess)
    return { ...shared, kind: 'images', files: files.slice(0, limit), preprocess }
  return {
    ...shared,
    kind: 'arrays',
    groups: groupFiles(
      files,
      model.inputs.map(({ name }) => name),
      place,
    ).slice(0, limit),
  }
}

/**
 * SHA-256 of the ordered samples: of their files, or of what the module gives. A module runs in a child process, so
 * that one that never ends can be stopped.
 *
 * @throws OnnxEngineError SAMPLES_INVALID, COMPILE_ABORTED
 */
export async function digestSamples(source: SampleSource, statIndex: StatIndex, signal?: AbortSignal): Promise<string> {
  if (source.kind === 'module')
    return (await runWithSamples(new URL('./digest-child.js', import.meta.url), source, { signal })) as string
  const files =
    source.kind === 'images'
      ? source.files.map((file) => ['', file] as const)
      : source.groups.flatMap((group) => Object.entries(group.files))
  const hashes: Json[] = []
  for (const [input, file] of files) {
    const { sha256 } = await statIndex.remember(file, 'sample', async () => ({ sha256: await hashFile(file) }))
    hashes.push([input, sha256!])
  }
  const facts: Json = {
    kind: source.kind,
    hashes,
    ...(source.kind === 'images' && { preprocess: source.preprocess as unknown as Json }),
  }
  return createHash('sha256').update(canonicalJson(facts)).digest('hex')
}

const moduleTypes = new Set(['.js', '.mjs', '.ts', '.mts'])

const arrayTypes = ['.npy', '.npz']

const imageTypes = ['.png', '.jpg', '.jpeg']

type Group = Extract<SampleSource, { kind: 'arrays' }>['groups'][number]

// `<sample>.npy` for a model of one input, else `<sample>.<input>.npy`; names of inputs may hold dots. An .npz holds
// all inputs.
function groupFiles(files: readonly string[], inputs: readonly string[], place: string): Group[] {
  const groups = new Map<string, Record<string, string>>()
  for (const file of files) {
    const stem = file.slice(0, -extname(file).length)
    if (/\.npz$/i.test(file)) {
      groups.set(file, { '': file })
      continue
    }
    const named = inputs.find((input) => stem.endsWith(`.${input}`))
    const input = named ?? (inputs.length === 1 ? inputs[0] : undefined)
    if (input === undefined) {
      const expected = `a name such as '1.${inputs[0] ?? 'input'}.npy', which ends in an input: ${inputs.join(', ')}`
      throw new OnnxEngineError('SAMPLES_INVALID', place, { expected, received: basename(file) })
    }
    const sample = named === undefined ? stem : stem.slice(0, -named.length - 1)
    groups.set(sample, Object.assign(groups.get(sample) ?? Object.create(null), { [input]: file }))
  }
  return [...groups].map(([sample, group]) => ({ sample: basename(sample), files: group }))
}

/** The samples of a model and the digest of their content. */
export interface FoundSamples {
  readonly source: SampleSource
  readonly digest: string
}

/**
 * The samples that `calibration` names and their digest; undefined when there is no such option. A module runs for it,
 * once for all engines of a compilation. `option` is what messages call it.
 *
 * @throws OnnxEngineError SAMPLES_INVALID
 */
export async function modelSamples(
  { name, model, options, root, store, signal }: SampleRequest,
  option: SampleOption = 'calibration',
): Promise<FoundSamples | undefined> {
  const { calibration } = options
  if (!calibration) return undefined
  const searches = searchesOf.get(model) ?? new Map<Calibration, Promise<FoundSamples>>()
  searchesOf.set(model, searches)
  const search = async (): Promise<FoundSamples> => {
    const source = await findSamples(calibration, { name, option, inputs: model.bindings.inputs }, root)
    return { source, digest: await digestSamples(source, store.statIndex, signal) }
  }
  const pending = searches.get(calibration) ?? search()
  searches.set(calibration, pending)
  return pending
}

/**
 * The samples that stand for what an app gives the model: those of `verify.samples`, else those of `calibration`;
 * undefined when there are none. Throws SAMPLES_INVALID.
 */
export async function typicalSamples(request: SampleRequest): Promise<FoundSamples | undefined> {
  const { options } = request
  const { samples } = options.verify || {}
  const calibration = samples ?? options.calibration
  if (!calibration) return undefined
  return modelSamples({ ...request, options: { ...options, calibration } }, samples ? 'verify.samples' : 'calibration')
}

const searchesOf = new WeakMap<SampleRequest['model'], Map<Calibration, Promise<FoundSamples>>>()
