import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, extname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { glob } from 'tinyglobby'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Bindings } from '../../runtime/manifest.ts'
import { runChild } from '../backend/child.ts'
import type { ChildJob } from '../backend/contract.ts'
import { hashFile } from '../cache/hash.ts'
import { canonicalJson, type Json } from '../cache/key.ts'
import type { StatIndex } from '../cache/stat-index.ts'
import type { Calibration } from '../options.ts'
import { inTemporaryFolder } from '../temporary-folder.ts'
import { longestTimeout } from './countdown.ts'

/** The options that take samples. */
export type SampleOption = 'calibration' | 'verify.samples'

/** How the pixels of an image become the elements of an input. */
export type Preprocess = NonNullable<Calibration['preprocess']>

/**
 * Where samples come from, with everything that reading them needs: it crosses into a child process. A type, so that it
 * is JSON.
 */
export type SampleSource = {
  /** Display name of the model, for messages. */
  readonly name: string
  /** The option that names the samples, for messages. */
  readonly option: SampleOption
  readonly inputs: Bindings['inputs']
  /** As the user wrote it, for messages. */
  readonly text: string
  /** Most samples that are used. */
  readonly limit: number
  /** Milliseconds to wait for one sample. */
  readonly timeout: number
} & (
  | {
      readonly kind: 'arrays'
      readonly groups: readonly { readonly sample: string; readonly files: Readonly<Record<string, string>> }[]
    }
  | { readonly kind: 'images'; readonly files: readonly string[]; readonly preprocess: Preprocess }
  | { readonly kind: 'module'; readonly url: string }
)

/** What a child that reads samples tells while it works: `wait` before each sample and `go` when it has it. */
export const sampleSignals = { wait: 'wait', go: 'go' } as const

/**
 * Finds the samples of a model; nothing is read yet. Paths start from `root`. Files are taken in the order of their
 * names.
 *
 * @throws OnnxEngineError SAMPLES_INVALID when nothing matches, or a file's name does not say which input it is for.
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
    return (await runWithSamples(new URL('./digest-child.js', import.meta.url), source, {}, signal)) as string
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

export interface ReadingOptions {
  /** Hears every text that the worker sends. */
  readonly told?: (text: string) => void
  /** Told when the process starts: there may be a queue before it. */
  readonly started?: () => void
  /** Bytes of the model, external data included. */
  readonly modelBytes?: number
}

/**
 * Runs a worker that reads samples in a child process and gives the JSON that it writes. It is killed when a sample
 * does not come in time; the time that the worker itself needs between samples does not count.
 *
 * @throws OnnxEngineError SAMPLES_INVALID, COMPILE_ABORTED, and what the worker throws
 */
export async function runWithSamples(
  worker: URL,
  source: SampleSource,
  settings: ChildJob['settings'],
  signal?: AbortSignal,
  model = '',
  { told, started, modelBytes }: ReadingOptions = {},
): Promise<Json> {
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const log = (_: string, text: string) => {
    told?.(text)
    clearTimeout(timer)
    if (text === sampleSignals.wait) timer = setTimeout(() => late.abort(), Math.min(source.timeout, longestTimeout))
  }
  try {
    return await inTemporaryFolder(async (folder) => {
      const output = join(folder, 'result.json')
      const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal
      await runChild(
        worker,
        { name: source.name, model, output, settings: { ...settings, source } },
        { signal: either, log, started, modelBytes, what: 'measuring' },
      )
      return JSON.parse(await readFile(output, 'utf8')) as Json
    })
  } catch (error) {
    if (!late.signal.aborted || signal?.aborted) throw error
    const hint = `Let it give samples faster, or raise '${source.option}.timeout'`
    throw new OnnxEngineError('SAMPLES_INVALID', where(source), {
      expected: `a sample within ${source.timeout / 1000} s`,
      received: 'none',
      hint,
      cause: error,
    })
  } finally {
    clearTimeout(timer)
  }
}

/** How messages name the samples of a model. */
export function where({ name, option, text }: Pick<SampleSource, 'name' | 'option' | 'text'>): string {
  return `${name}: ${sampleNames[option]} '${text}'`
}

const sampleNames: Readonly<Record<SampleOption, string>> = {
  calibration: 'calibration samples',
  'verify.samples': 'verification samples',
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
