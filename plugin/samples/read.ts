import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { checkInputs } from '../../runtime/check-inputs.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { createDefaults } from '../../runtime/input-defaults.ts'
import type { CheckedTensor } from '../../runtime/session.ts'
import { quote } from '../text.ts'
import { imageTensor, decodeImage } from './image.ts'
import { parseNpy } from './npy.ts'
import { unzipNpz } from './npz.ts'
import { type SampleSource, where } from './source.ts'

/** One value for each input of the model, checked. */
export type Sample = ReadonlyMap<string, CheckedTensor>

/**
 * The samples of a source, one at a time and at most its limit. It runs in a child process, since a module of the user
 * may do anything.
 *
 * @param onState called with `wait` before each sample and with `go` when it is there
 * @throws OnnxEngineError SAMPLES_INVALID: a sample that cannot be read or does not fit the inputs, a NaN, a module
 *   that fails, no sample
 */
export async function* readSamples(
  source: SampleSource,
  onState: (state: 'wait' | 'go') => void,
): AsyncGenerator<Sample> {
  const values = open(source)
  let count = 0
  for (; count < source.limit; count++) {
    onState('wait')
    const next = await values.next()
    onState('go')
    if (next.done) break
    yield check(source, next.value)
  }
  // A module may hold something open that its `finally` closes.
  await values.return(undefined)
  if (count === 0)
    throw new OnnxEngineError('SAMPLES_INVALID', where(source), { expected: 'at least one sample', received: 'none' })
}

interface Raw {
  /** Which sample it is, for messages. */
  readonly label: string
  readonly value: unknown
}

function open(source: SampleSource): AsyncGenerator<Raw> {
  if (source.kind === 'module') return readModule(source)
  return source.kind === 'images' ? readImages(source) : readArrays(source)
}

function check(source: SampleSource, { label, value }: Raw): Sample {
  const fail = (expected: string | undefined, received: string | undefined, cause?: unknown) =>
    new OnnxEngineError('SAMPLES_INVALID', `${where(source)}, ${label}`, {
      ...(expected && { expected }),
      ...(received && { received }),
      cause,
    })
  let sample: Sample
  try {
    sample = createDefaults(source.inputs)(checkInputs(source.name, source.inputs, value))
  } catch (cause) {
    const { message } = cause as Error
    throw new OnnxEngineError('SAMPLES_INVALID', `${where(source)}, ${label}: ${message}`, { cause })
  }
  for (const [name, { dtype, data, dims }] of sample) {
    if (dims.includes(0)) throw fail(`elements for input ${quote(name)}`, 'none')
    if (dtype !== 'float32' && dtype !== 'float64') continue
    const at = (data as Float32Array).findIndex((element) => Number.isNaN(element))
    if (at >= 0) throw fail(`numbers for input ${quote(name)}`, `NaN at element ${at}`)
  }
  return sample
}

async function* readArrays(source: Extract<SampleSource, { kind: 'arrays' }>): AsyncGenerator<Raw> {
  const names = source.inputs.map(({ name }) => name)
  for (const { sample, files } of source.groups) {
    const arrays: [string, unknown][] = []
    for (const [input, file] of Object.entries(files)) {
      try {
        const bytes = await readFile(file)
        if (input !== '') arrays.push([input, parseNpy(bytes)])
        else for (const [name, entry] of await unzipNpz(bytes, names)) arrays.push([name, parseNpy(entry)])
      } catch (cause) {
        throw unreadable(source, basename(file), cause)
      }
    }
    yield { label: `sample ${sample}`, value: Object.assign(Object.create(null), Object.fromEntries(arrays)) }
  }
}

async function* readImages(source: Extract<SampleSource, { kind: 'images' }>): AsyncGenerator<Raw> {
  const { preprocess, inputs } = source
  const input =
    preprocess.input === undefined && inputs.length === 1
      ? inputs[0]
      : inputs.find(({ name }) => name === preprocess.input)
  if (!input) {
    const expected = `'calibration.preprocess.input' as one of ${inputs.map(({ name }) => name).join(', ')}`
    throw new OnnxEngineError('SAMPLES_INVALID', where(source), { expected, received: preprocess.input ?? 'none' })
  }
  if (input.dtype !== 'float32' && input.dtype !== 'uint8') {
    const hint = 'Give samples as .npy files or from a module'
    throw new OnnxEngineError('SAMPLES_INVALID', `${where(source)}, input ${quote(input.name)}`, {
      expected: 'an input of float32 or uint8',
      received: input.dtype,
      hint,
    })
  }
  const own = (preprocess.layout === 'nchw' ? [2, 3] : [1, 2]).map((axis) => input.dims?.[axis])
  const size = preprocess.size ?? (own.every((dim) => typeof dim === 'number') ? (own as [number, number]) : undefined)
  for (const file of source.files) {
    let tensor: ReturnType<typeof imageTensor>
    try {
      tensor = imageTensor(
        await decodeImage(await readFile(file)),
        { ...preprocess, ...(size && { size }) },
        input.dtype,
      )
    } catch (cause) {
      throw unreadable(source, basename(file), cause)
    }
    yield { label: `image ${basename(file)}`, value: { [input.name]: tensor } }
  }
}

async function* readModule(source: Extract<SampleSource, { kind: 'module' }>): AsyncGenerator<Raw> {
  let count = 0
  try {
    const { default: samples } = (await import(source.url)) as { default?: unknown }
    const iterable: unknown = typeof samples === 'function' ? (samples as () => unknown)() : samples
    if (!isIterable(iterable)) {
      throw new OnnxEngineError('SAMPLES_INVALID', where(source), {
        expected: 'a default export that is an (async) iterable of samples, or a function that gives one',
        received: typeof iterable,
      })
    }
    for await (const value of iterable) yield { label: `sample ${count++}`, value }
  } catch (cause) {
    if (cause instanceof OnnxEngineError) throw cause
    throw unreadable(source, count === 0 ? 'the module' : `the module after ${count} samples`, cause)
  }
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value)
}

function unreadable(source: SampleSource, what: string, cause: unknown): OnnxEngineError {
  const { message, code } = cause as NodeJS.ErrnoException
  const missing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'
  return new OnnxEngineError(
    'SAMPLES_INVALID',
    `${where(source)}, ${what}: ${cause instanceof Error ? message : String(cause)}`,
    {
      ...(missing && { hint: 'Install the package, or correct the path' }),
      cause,
    },
  )
}
