import { writeFile } from 'node:fs/promises'
import { serialize } from 'node:v8'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { ModelManifest } from '../../runtime/manifest.ts'
import { createModel } from '../../runtime/model.ts'
import type { CheckedTensor } from '../../runtime/session.ts'
import type { ChildTask } from '../child/contract.ts'
import { loadGraph } from '../onnx/graph.ts'
import { readSamples, type Sample } from '../samples/read.ts'
import type { SampleSource } from '../samples/source.ts'
import { firstAccepted } from '../verify/accepted-inputs.ts'
import { inputRanges } from '../verify/input-ranges.ts'
import type { KnownInputs } from '../verify/random-inputs.ts'

/** Settings for the process that makes the inputs of a bench. */
export interface InputSettings {
  /** An engine that accepts or refuses random inputs. */
  readonly manifest: ModelManifest
  readonly known: KnownInputs
  /** Whether all numbers are zero. */
  readonly zeros: boolean
  /** The file for the inputs, which the processes of all rows read. */
  readonly file: string
  /** Samples of the user instead of random values. */
  readonly source?: SampleSource
}

/** What is known of the inputs. A type, so that it is JSON. */
export type InputTensor = { readonly name: string; readonly dtype: string; readonly dims: readonly number[] }

/**
 * Writes one value for each input of a model, serialized, and what they are as JSON. Runs in a child process: an engine
 * tries random values.
 */
export const run: ChildTask = async ({ name, model, output, settings }, log) => {
  const { manifest, known, zeros, file, source } = settings as unknown as InputSettings
  const sample = source
    ? await firstSample(source, (state) => log('info', state))
    : await randomInputs({ name, model, manifest, known })
  await writeFile(file, serialize(zeros ? emptied(sample) : sample))
  const tensors = [...sample].map(([input, { dtype, dims }]): InputTensor => ({ name: input, dtype, dims }))
  await writeFile(output, JSON.stringify(tensors))
}

async function firstSample(source: SampleSource, onState: (state: 'wait' | 'go') => void): Promise<Sample> {
  for await (const sample of readSamples({ ...source, limit: 1 }, onState)) return sample
  return new Map()
}

interface RandomRequest {
  readonly name: string
  /** The .onnx file, or ''. */
  readonly model: string
  readonly manifest: ModelManifest
  readonly known: KnownInputs
}

async function randomInputs({ name, model, manifest, known }: RandomRequest): Promise<Sample> {
  const ranges = model === '' ? new Map() : inputRanges(await loadGraph(model))
  const engine = await createModel(manifest).load()
  const found = await firstAccepted({ bindings: manifest.bindings, known, ranges }, (sample) =>
    engine.infer(Object.fromEntries(sample) as never),
  )
  await engine.dispose()
  if (typeof found !== 'string') return found.sample
  throw new OnnxEngineError('SAMPLES_INVALID', `${name}: ${found}`, {
    hint: 'Give dims with --shapes, or values with --input',
  })
}

function emptied(sample: Sample): Sample {
  const entries = [...sample].map(([name, tensor]) => [name, { ...tensor, data: zerosLike(tensor.data) }] as const)
  return new Map(entries)
}

function zerosLike(data: CheckedTensor['data']): CheckedTensor['data'] {
  if (!ArrayBuffer.isView(data)) return data
  const { constructor } = data as unknown as { constructor: new (buffer: ArrayBuffer) => ArrayBufferView }
  return new constructor(new ArrayBuffer(data.byteLength))
}
