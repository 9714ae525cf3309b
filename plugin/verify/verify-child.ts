import { writeFile } from 'node:fs/promises'
import type { DType } from '../../runtime/dtype.ts'
import { OnnxEngineError, textOf } from '../../runtime/errors.ts'
import type { Bindings, ModelManifest } from '../../runtime/manifest.ts'
import { createModel } from '../../runtime/model.ts'
import type { CheckedTensor } from '../../runtime/session.ts'
import type { ChildJob, ChildTask } from '../child/contract.ts'
import { addSample, type Comparison, type Counting, finish, newComparison } from '../measure/compare.ts'
import { infer, type Onnxruntime } from '../measure/feed.ts'
import { loadGraph } from '../onnx/graph.ts'
import { roundToHalf } from '../precision/half/rounding.ts'
import { readSamples, type Sample } from '../samples/read.ts'
import { type SampleSource, where } from '../samples/source.ts'
import { acceptedInputs } from './accepted-inputs.ts'
import { inputRanges } from './input-ranges.ts'
import type { KnownInputs } from './random-inputs.ts'

/** Settings for the comparing process. */
export interface VerifySettings {
  /** File URL of the ONNX Runtime module. */
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
  /** Whether to measure how far the fp32 model is from itself when ONNX Runtime sums in another order. */
  readonly noise?: boolean
}

/** The result of a comparison. A type, not an interface: it is kept as JSON. */
export type VerifyResult = {
  /** Where the inputs came from, in words. */
  readonly inputs: string
  /** The random draws and their dims, in words; empty for samples of the user. */
  readonly tried: readonly string[]
  /** Why nothing was compared. */
  readonly skipped?: string
  readonly outputs: readonly Comparison[]
}

/** The current phase, reported so that a crash is blamed on the right one. `wait` is for a sample. */
export type Phase = 'wait' | 'reference' | 'engine'

interface Opened {
  infer(inputs: Sample): Promise<ReadonlyMap<string, CheckedTensor>>
  dispose(): Promise<void>
}

/**
 * Runs the fp32 model and the engine on the same inputs, and writes how far apart they are. Runs in a child process.
 */
export const run: ChildTask = async (job, log) => {
  const { output, settings } = job
  const checked = settings as unknown as VerifySettings
  const { default: ort } = (await import(checked.module)) as { default: Onnxruntime }
  const result = await compare({ ort, job, settings: checked, report: (state) => log('info', state) })
  await writeFile(output, JSON.stringify(result))
}

interface Task {
  readonly ort: Onnxruntime
  readonly job: ChildJob
  readonly settings: VerifySettings
  readonly report: (state: Phase | 'go') => void
}

async function compare(task: Task): Promise<VerifyResult> {
  const { ort, job, settings, report } = task
  const { candidate, source, noise = false } = settings
  report('reference')
  let reference: Opened
  try {
    reference = await openOnnx(ort, job.model, 'all')
  } catch (error) {
    return skip(`ONNX Runtime cannot run the fp32 model: ${textOf(error)}`)
  }
  const random = source ? undefined : await randomInputs(task, reference)
  if (typeof random === 'string') return { ...skip(random), inputs: 'random inputs' }
  report('engine')
  let engine: Opened
  try {
    engine =
      'onnx' in candidate ? await openOnnx(ort, candidate.onnx, 'disabled') : await openEngine(candidate.manifest)
  } catch (error) {
    const problem =
      'onnx' in candidate ? 'the lowered graph does not run on the CPU' : 'the engine cannot be opened here'
    return skip(`${problem}: ${textOf(error)}`)
  }
  // Not optimised, it adds and rounds in another order. It fails where only an optimisation makes a model run.
  const other = noise ? await openOnnx(ort, job.model, 'disabled').catch(() => undefined) : undefined
  const outcome = await compareAll(task, { reference, engine, other }, random?.samples)
  await Promise.all([reference.dispose(), engine.dispose(), other?.dispose()])
  const { count, outputs } = outcome
  const inputs = random ? 'random inputs' : `${count} ${count === 1 ? 'sample' : 'samples'}`
  const nothing = outputs.every(({ compared, trouble }) => compared === 0 && trouble === undefined)
  const skipped = nothing ? { skipped: `the fp32 model gives no finite number on ${inputs}` } : {}
  return { inputs, tried: random?.tried ?? [], ...skipped, outputs }
}

function skip(skipped: string): VerifyResult {
  return { inputs: 'none', tried: [], skipped, outputs: [] }
}

async function randomInputs({ job, settings }: Task, reference: Opened) {
  const { bindings, known, limit } = settings
  const ranges = inputRanges(await loadGraph(job.model))
  const found = await acceptedInputs({ bindings, known, ranges }, (sample) => reference.infer(sample))
  if (typeof found === 'string') return found
  return { samples: found.samples.slice(0, limit), tried: found.tried.slice(0, limit) }
}

interface Opponents {
  readonly reference: Opened
  readonly engine: Opened
  /** The fp32 model once more, for its noise. */
  readonly other: Opened | undefined
}

interface Outcome {
  readonly count: number
  readonly outputs: readonly Comparison[]
}

async function compareAll(
  { job, settings, report }: Task,
  { reference, engine, other }: Opponents,
  random: readonly Sample[] | undefined,
): Promise<Outcome> {
  const { source, bindings, atol, rtol } = settings
  const countings = bindings.outputs.map(({ name }) => newComparison(name, { atol, rtol }))
  const noises = bindings.outputs.map(({ name }) => newComparison(name, { atol: null, rtol: null }))
  let count = 0
  for await (const sample of random ?? readSamples(source!, report)) {
    count++
    report('reference')
    const expected = await inferOr(reference, sample, (cause): never => {
      const subject = `${source ? where(source) : job.name}, sample ${count}`
      throw new OnnxEngineError('SAMPLES_INVALID', `${subject}: the fp32 model cannot run it: ${textOf(cause)}`, {
        cause,
      })
    })
    const again = await other?.infer(sample).catch(() => undefined)
    report('engine')
    const received = await inferOr(engine, sample, (cause) => {
      if (random && isRefusal(cause)) return undefined
      const subject = `${job.name}: the engine fails on sample ${count}, which the fp32 model runs`
      throw new OnnxEngineError('INFERENCE_FAILED', `${subject}: ${textOf(cause)}`, { cause })
    })
    if (received === undefined) continue
    addOutputs(countings, expected, received)
    if (again) addOutputs(noises, expected, again)
  }
  return { count, outputs: countings.map((counting, index) => withNoise(finish(counting), finish(noises[index]!))) }
}

type Outputs = ReadonlyMap<string, CheckedTensor>

function addOutputs(countings: readonly Counting[], expected: Outputs, received: Outputs): void {
  for (const counting of countings) addSample(counting, expected.get(counting.name), received.get(counting.name))
}

function withNoise(comparison: Comparison, { compared, trouble, maxAbs, argmax }: Comparison): Comparison {
  if (compared === 0 || trouble !== undefined || maxAbs === null) return comparison
  return { ...comparison, noise: { maxAbs, argmax } }
}

async function inferOr<T>(opened: Opened, sample: Sample, fail: (cause: unknown) => T): Promise<Outputs | T> {
  return opened.infer(sample).catch(fail)
}

/** Whether an engine refuses an input by its name, as OpenVINO does with integers beyond 32 bits: that is not wrong. */
function isRefusal(error: unknown): boolean {
  return error instanceof OnnxEngineError && error.code === 'INPUT_INVALID'
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
