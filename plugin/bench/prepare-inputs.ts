import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ModelManifest } from '../../runtime/manifest.ts'
import { runChild } from '../child/run.ts'
import type { CompileOptions } from '../options/schema.ts'
import { findSamples } from '../samples/find.ts'
import { runWithSamples } from '../samples/run.ts'
import { knownInputs } from '../verify/random-inputs.ts'
import type { InputModel, InputOrigin } from './contract.ts'
import type { InputSettings, InputTensor } from './inputs-child.ts'

/** What decides the inputs of all rows. */
export interface InputsRequest {
  readonly model: InputModel
  /** An engine that runs here: it accepts or refuses random values. */
  readonly manifest: ModelManifest
  readonly origin: InputOrigin
  readonly options: Pick<CompileOptions, 'shapes' | 'profiles'>
  /** The folder that paths of samples start from. */
  readonly root: string
}

/** One value for each input, the same for all rows. */
export interface PreparedInputs {
  readonly file: string
  readonly tensors: readonly InputTensor[]
}

/**
 * Writes the inputs of all rows into `folder`.
 *
 * @throws OnnxEngineError SAMPLES_INVALID when nothing fits the model
 */
export async function prepareInputs(request: InputsRequest, folder: string): Promise<PreparedInputs> {
  const { model, manifest, origin, options, root } = request
  const file = join(folder, 'inputs')
  const worker = new URL('./inputs-child.js', import.meta.url)
  const settings = { manifest, known: knownInputs(options), zeros: origin === 'zeros', file } satisfies InputSettings
  if (typeof origin === 'string') {
    const output = join(folder, 'tensors.json')
    await runChild(worker, { name: model.name, model: model.file, output, settings }, { what: 'measuring' })
    return { file, tensors: JSON.parse(await readFile(output, 'utf8')) as InputTensor[] }
  }
  const samples = { samples: origin.samples, limit: 1, timeout: 60_000, percentile: 100 }
  const source = await findSamples(samples, { name: model.name, option: 'input', inputs: model.bindings.inputs }, root)
  const tensors = await runWithSamples(worker, source, { settings, model: model.file })
  return { file, tensors: tensors as unknown as InputTensor[] }
}
