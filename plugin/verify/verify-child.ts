import { writeFile } from 'node:fs/promises'
import { OnnxEngineError, textOf } from '../../runtime/errors.ts'
import type { Bindings } from '../../runtime/manifest.ts'
import type { ChildJob, ChildTask } from '../child/contract.ts'
import { addSample, type Comparison, type Counting, finish, newComparison } from '../measure/compare.ts'
import type { Onnxruntime } from '../measure/feed.ts'
import { addObjects, noObjects, type Objects } from '../measure/objects.ts'
import { loadGraph } from '../onnx/graph.ts'
import { readSamples, type Sample } from '../samples/read.ts'
import { type SampleSource, where } from '../samples/source.ts'
import { acceptedInputs } from './accepted-inputs.ts'
import { detectorOutputs } from './detector.ts'
import { type Doubles, inferTwice, openDoubles, withNoise } from './doubles.ts'
import { inputRanges } from './input-ranges.ts'
import { tensorKeeper } from './keep-tensors.ts'
import { type MetricResult, openMetric } from './metric.ts'
import { type Candidate, openCandidate, type Opened, openOnnx, type Tensors } from './opened.ts'
import { probabilities } from './probabilities.ts'
import type { KnownInputs } from './random-inputs.ts'
import { unvariedOf, type Variation, watchSample } from './variation.ts'

/** Settings for the comparing process. */
export interface VerifySettings {
  /** File URL of the ONNX Runtime module. */
  readonly module: string
  readonly candidate: Candidate
  /** What the candidate is compared with; absent: the fp32 model, which ONNX Runtime optimises. */
  readonly reference?: Candidate
  /** How messages name what the candidate is compared with. */
  readonly opponent: string
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
  /** Folder that receives all tensors; absent: they are dropped. */
  readonly keep?: string
  /** The module of `verify.metric`. */
  readonly metric?: { readonly file: string; readonly text: string }
}

/** The result of a comparison. A type, not an interface: it is kept as JSON. */
export type VerifyResult = {
  /** Where the inputs came from, in words. */
  readonly inputs: string
  /** The random draws and their dims, in words; empty for samples of the user. */
  readonly tried: readonly string[]
  /** Inputs and expected outputs that were the same in all samples, or one number everywhere: these prove little. */
  readonly unvaried: { readonly inputs: readonly string[]; readonly outputs: readonly string[] }
  /** Why nothing was compared. */
  readonly skipped?: string
  readonly outputs: readonly Comparison[]
  /** What the metric of the user says. */
  readonly metric?: MetricResult
}

/** The current phase, reported so that a crash is blamed on the right one. `wait` is for a sample. */
export type Phase = 'wait' | 'reference' | 'engine'

/**
 * Runs an engine, and what it is compared with, on the same inputs, and writes how far apart they are. Runs in a child
 * process.
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
  const { candidate, reference: opponent, source } = settings
  report('reference')
  let reference: Opened
  try {
    reference = opponent ? await openCandidate(ort, opponent) : await openOnnx(ort, job.model, 'all')
  } catch (error) {
    return skip(`${opponent ? '' : 'ONNX Runtime cannot run '}${settings.opponent}: ${textOf(error)}`)
  }
  const random = source ? undefined : await randomInputs(task, reference)
  if (typeof random === 'string') return { ...skip(random), inputs: 'random inputs' }
  report('engine')
  let engine: Opened
  try {
    engine = await openCandidate(ort, candidate)
  } catch (error) {
    const problem =
      'onnx' in candidate ? 'the lowered graph does not run on the CPU' : 'the engine cannot be opened here'
    return skip(`${problem}: ${textOf(error)}`)
  }
  const doubles = settings.noise ? await openDoubles(ort, job.model, opponent ? undefined : reference) : undefined
  const outcome = await compareAll(task, { reference, engine, doubles }, random?.samples)
  await Promise.all(Array.from(new Set([reference, engine, ...(doubles ?? [])]), (opened) => opened.dispose()))
  const { count, outputs, unvaried, metric } = outcome
  const inputs = random ? 'random inputs' : `${count} ${count === 1 ? 'sample' : 'samples'}`
  const skipped = skippedText(outcome, inputs, settings.opponent)
  const rest = { ...(skipped && { skipped }), ...(metric && { metric }) }
  return { inputs, tried: random?.tried ?? [], unvaried, ...rest, outputs }
}

function skip(skipped: string): VerifyResult {
  return { inputs: 'none', tried: [], unvaried: { inputs: [], outputs: [] }, skipped, outputs: [] }
}

/** Why nothing was compared; undefined when something was. */
function skippedText({ outputs, refusal }: Outcome, inputs: string, opponent: string): string | undefined {
  const nothing = outputs.every(({ compared, trouble }) => compared === 0 && trouble === undefined)
  if (!nothing) return undefined
  const refused = refusal !== undefined && outputs.every(({ nonFinite }) => nonFinite === 0)
  return refused ? `the engine refuses ${inputs}: ${refusal}` : `${opponent} gives no finite number on ${inputs}`
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
  readonly doubles: Doubles | undefined
}

interface Outcome {
  readonly count: number
  readonly outputs: readonly Comparison[]
  readonly unvaried: VerifyResult['unvaried']
  readonly metric: MetricResult | undefined
  /** Why the engine refused the last random inputs that it refused. */
  readonly refusal: string | undefined
}

async function compareAll(
  task: Task,
  { reference, engine, doubles }: Opponents,
  random: readonly Sample[] | undefined,
): Promise<Outcome> {
  const { source, bindings, atol, rtol, keep, opponent } = task.settings
  const metric = task.settings.metric && (await openMetric(task.settings.metric.file, task.settings.metric.text))
  const keepTensors = keep === undefined ? undefined : tensorKeeper(keep)
  const graph = await loadGraph(task.job.model)
  const detector = detectorOutputs(graph, bindings)
  const ofObjects = new Set(Object.values(detector ?? {}))
  let objects = noObjects
  const countings = bindings.outputs.map(({ name }) => newComparison(name, { atol, rtol }))
  const noises = bindings.outputs.map(({ name }) => newComparison(name, { atol: null, rtol: null }))
  const [given, gotten]: [Variation, Variation] = [new Map(), new Map()]
  let [count, refusal]: [number, string | undefined] = [0, undefined]
  for await (const sample of random ?? readSamples(source!, task.report)) {
    count++
    task.report('reference')
    const expected = await inferOr(reference, sample, (cause): never => {
      const subject = `${source ? where(source) : task.job.name}, sample ${count}`
      throw new OnnxEngineError('SAMPLES_INVALID', `${subject}: ${opponent} cannot run it: ${textOf(cause)}`, { cause })
    })
    const again = doubles && (await inferTwice(doubles, sample, { reference, expected }))
    task.report('engine')
    const received = await inferOr(engine, sample, (cause) => {
      if (random && isRefusal(cause)) return void (refusal = cause.message)
      const subject = `${task.job.name}: the engine fails on sample ${count}, which ${opponent} runs`
      throw new OnnxEngineError('INFERENCE_FAILED', `${subject}: ${textOf(cause)}`, { cause })
    })
    if (!received) continue
    watchSample(given, sample)
    watchSample(gotten, expected)
    addOutputs(countings, expected, received)
    if (detector) objects = addObjects(objects, detector, expected, received)
    await metric?.add(expected, received, sample)
    if (again) addOutputs(noises, ...again)
    for (const [role, tensors] of [
      ['inputs', sample],
      ['engine', received],
      ['against', expected],
    ] as const)
      await keepTensors?.(count - 1, role, tensors)
  }
  const likely = probabilities(graph)
  const outputs = countings.map((counting, index) => {
    if (ofObjects.has(counting.name)) return asObjects(counting.name, objects)
    const comparison = withNoise(finish(counting), finish(noises[index]!))
    return likely.has(comparison.name) ? { ...comparison, probability: true as const } : comparison
  })
  const unvaried = {
    inputs: unvariedOf(given, bindings.inputs),
    outputs: unvariedOf(gotten, bindings.outputs),
  }
  return { count, outputs, unvaried, refusal, metric: metric?.result() }
}

function addOutputs(countings: readonly Counting[], expected: Tensors, received: Tensors): void {
  for (const counting of countings) addSample(counting, expected.get(counting.name), received.get(counting.name))
}

/** An output of a detector. Its boxes may be in another order, and one more or less. */
function asObjects(name: string, objects: Objects): Comparison {
  const nothing = finish(newComparison(name, { atol: null, rtol: null }))
  return { ...nothing, compared: objects.expected + objects.received, objects }
}

async function inferOr<T>(opened: Opened, sample: Sample, fail: (cause: unknown) => T): Promise<Tensors | T> {
  return opened.infer(sample).catch(fail)
}

/** Whether an engine refuses an input by its name, as OpenVINO does with integers beyond 32 bits: that is not wrong. */
function isRefusal(error: unknown): error is OnnxEngineError {
  return error instanceof OnnxEngineError && error.code === 'INPUT_INVALID'
}
