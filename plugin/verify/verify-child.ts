import { writeFile } from 'node:fs/promises'
import type { DType } from '../../runtime/dtype.ts'
import { textOf, OnnxEngineError } from '../../runtime/errors.ts'
import type { ModelManifest, Bindings } from '../../runtime/manifest.ts'
import { createModel } from '../../runtime/model.ts'
import type { CheckedTensor } from '../../runtime/session.ts'
import type { ChildTask, ChildJob } from '../child/contract.ts'
import { type Comparison, newComparison, addSample, finish } from '../measure/compare.ts'
import { type Onnxruntime, infer } from '../measure/feed.ts'
import { roundToHalf } from '../precision/half/rounding.ts'
import { type Sample, readSamples } from '../samples/read.ts'
import { type SampleSource, where } from '../samples/source.ts'
import { type KnownInputs, randomInputs } from './random-inputs.ts'

/** Settings for the verification process. */
export interface VerifySettings {
  /** URL of the ONNX Runtime module. */
  readonly module: string
  readonly candidate: { readonly manifest: ModelManifest } | { readonly onnx: string }
  /** Absent: random inputs. */
  readonly source?: SampleSource
  readonly bindings: Bindings
  readonly known: KnownInputs
  readonly atol: number | null
  readonly rtol: number | null
  /** Most inputs that are compared; absent: all. */
  readonly limit?: number
}

/** What came out, as JSON. */
export type VerifyResult = {
  /** Where the inputs came from, in words. */
  readonly inputs: string
  /** Why nothing was compared. */
  readonly skipped?: string
  readonly outputs: readonly Comparison[]
}

/** What the child is at, which it tells, so that a crash is put down to the right one: `wait` is for a sample. */
export type Phase = 'wait' | 'reference' | 'engine'

interface Opened {
  infer(inputs: Sample): Promise<ReadonlyMap<string, CheckedTensor>>
  dispose(): Promise<void>
}

/**
 * Runs the fp32 original and the engine on the same inputs, and writes how far they are apart. Runs in a child process.
 */
export const run: ChildTask = async (job, log) => {
  const { output, settings } = job
  const checked = settings as unknown as VerifySettings
  const { default: ort } = (await import(checked.module)) as { default: Onnxruntime }
  const result = await compare(ort, job, checked, (state) => log('info', state))
  await writeFile(output, JSON.stringify(result))
}

async function compare(
  ort: Onnxruntime,
  { name, model }: ChildJob,
  settings: VerifySettings,
  told: (state: Phase | 'go') => void,
): Promise<VerifyResult> {
  const { candidate, source, bindings, known, atol, rtol, limit } = settings
  told('reference')
  let reference: Opened
  try {
    reference = await openOnnx(ort, model, 'all')
  } catch (error) {
    return { inputs: 'none', skipped: `ONNX Runtime cannot run the fp32 model: ${textOf(error)}`, outputs: [] }
  }
  const random = source ? undefined : await acceptedInputs(reference, bindings, known, limit)
  if (typeof random === 'string') return { inputs: 'random inputs', skipped: random, outputs: [] }
  told('engine')
  let engine: Opened
  try {
    engine =
      'onnx' in candidate ? await openOnnx(ort, candidate.onnx, 'disabled') : await openEngine(candidate.manifest)
  } catch (error) {
    const problem =
      'onnx' in candidate ? 'the lowered graph does not run on the CPU' : 'the engine cannot be opened here'
    return { inputs: 'none', skipped: `${problem}: ${textOf(error)}`, outputs: [] }
  }
  const comparisons = new Map(
    bindings.outputs.map((output) => [output.name, newComparison(output.name, { atol, rtol })]),
  )
  let count = 0
  for await (const sample of random ?? readSamples(source!, told)) {
    count++
    told('reference')
    const expected = await inferOr(reference, sample, (cause) => {
      throw new OnnxEngineError(
        'SAMPLES_INVALID',
        `${source ? where(source) : name}, sample ${count}: the fp32 model cannot run it: ${textOf(cause)}`,
        { cause },
      )
    })
    told('engine')
    const received = await inferOr(engine, sample, (cause) => {
      throw new OnnxEngineError(
        'INFERENCE_FAILED',
        `${name}: the engine fails on sample ${count}, which the fp32 model runs: ${textOf(cause)}`,
        { cause },
      )
    })
    for (const [output, comparison] of comparisons) addSample(comparison, expected.get(output), received.get(output))
  }
  await Promise.all([reference.dispose(), engine.dispose()])
  const inputs = random ? 'random inputs' : `${count} ${count === 1 ? 'sample' : 'samples'}`
  const outputs = [...comparisons.values()].map(finish)
  const nothing = outputs.every(({ compared, trouble }) => compared === 0 && trouble === undefined)
  return { inputs, ...(nothing && { skipped: `the fp32 model gives no finite number on ${inputs}` }), outputs }
}

async function inferOr(opened: Opened, sample: Sample, fail: (cause: unknown) => never): ReturnType<Opened['infer']> {
  return opened.infer(sample).catch(fail)
}

async function openOnnx(ort: Onnxruntime, file: string, graphOptimizationLevel: 'all' | 'disabled'): Promise<Opened> {
  const session = await ort.InferenceSession.create(file, {
    executionProviders: ['cpu'],
    logSeverityLevel: 4,
    graphOptimizationLevel,
  })
  return { infer: (sample) => infer(ort, session, sample), dispose: () => session.release() }
}

// The engine itself, as an app runs it.
async function openEngine(manifest: ModelManifest): Promise<Opened> {
  const model = await createModel(manifest).load()
  return {
    async infer(inputs) {
      const feeds = Object.fromEntries(
        manifest.bindings.inputs.map(({ name, dtype }) => [name, sampleAs(inputs.get(name)!, dtype)]),
      )
      return new Map(Object.entries((await model.infer(feeds as never)) as Record<string, CheckedTensor>))
    },
    dispose: () => model.dispose(),
  }
}

// The engine's inputs may have 16 bits where the original's have 32.
function sampleAs(sample: CheckedTensor, dtype: DType): object {
  const half = dtype === 'float16' || dtype === 'bfloat16' ? roundToHalf[dtype] : undefined
  return half && sample.data instanceof Float32Array ? { ...sample, dtype, data: half(sample.data) } : sample
}

/**
 * Random inputs that the original model takes, of sizes that are guessed where nothing tells them; else why there are
 * none.
 */
async function acceptedInputs(
  reference: Opened,
  bindings: Bindings,
  known: KnownInputs,
  limit?: number,
): Promise<readonly Sample[] | string> {
  let last = 'an input has an unknown rank, or holds strings'
  for (const guess of guesses) {
    const samples = randomInputs(bindings.inputs, known, guess)?.slice(0, limit)
    if (!samples) break
    try {
      for (const sample of samples) await reference.infer(sample)
      return samples
    } catch (error) {
      last = textOf(error)
    }
  }
  return `the fp32 model does not run on random inputs: ${last}`
}

// Sizes of dims that nothing tells, but for the first of each input: images of nets that halve them five times, rows of
// text, short sequences.
const guesses = [64, 224, 48, 8, 1]
