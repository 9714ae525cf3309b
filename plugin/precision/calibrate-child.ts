import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { dtypes } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { CompileInChild } from '../backend/contract.ts'
import { newAttribute } from '../onnx/attribute.ts'
import { nameMaker, newNode } from '../onnx/edit.ts'
import { loadGraph } from '../onnx/graph.ts'
import { type Message, newMessage, quote } from '../onnx/proto.ts'
import { upgradeOpset } from '../onnx/upgrade.ts'
import { writeGraph } from '../onnx/write.ts'
import { addConstant } from './constants.ts'
import { sampleHash } from './digest-child.ts'
import { addValues, type Histogram, newHistogram, rangeOf } from './histogram.ts'
import { readSamples } from './read-samples.ts'
import { type SampleSource, where } from './samples.ts'

/** What the calibrating child is told. */
export interface CalibrateSettings {
  readonly source: SampleSource
  /** URL of the ONNX Runtime module. */
  readonly module: string
  /** Names of the float32 values to observe. */
  readonly values: readonly string[]
  readonly percentile: number
  /** What the key says of the samples. */
  readonly digest: string
}

/** The part of onnxruntime-node that calibration uses. */
export interface Onnxruntime {
  readonly InferenceSession: { create(path: string, options: Record<string, unknown>): Promise<Session> }
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => unknown
}

export interface Session {
  run(feeds: Readonly<Record<string, unknown>>, fetches?: readonly string[]): Promise<Record<string, { readonly type: string; readonly data: unknown }>>
  release(): Promise<void>
}

/**
 * Runs the model on each sample and counts the values that it is asked for; only the counts stay in memory. Writes the ranges as JSON.
 * Runs in a child process.
 */
export const compile: CompileInChild = async ({ name, model, output, settings }, log) => {
  const { source, module, values, percentile, digest } = settings as unknown as CalibrateSettings
  const inputs = new Set(source.inputs.map((input) => input.name))
  const { default: ort } = (await import(module)) as { default: Onnxruntime }
  const file = join(dirname(output), 'observed.onnx')
  const { outputs, watched } = await observe(model, file, values.filter((value) => !inputs.has(value)))
  const session = await open(ort, file, name)
  const fetches = [...outputs, ...watched.flatMap(({ some, step, min, max, sum }) => [some, step, min, max, sum])]
  const histograms = new Map<string, Histogram>(values.map((value) => [value, newHistogram()]))
  const hash = sampleHash()
  let count = 0
  for await (const sample of readSamples(source, (state) => log('info', state))) {
    hash.add(sample)
    count++
    for (const [input, { data }] of sample) {
      const histogram = histograms.get(input)
      if (histogram) addValues(histogram, data as Float32Array)
    }
    const feeds = Object.fromEntries([...sample].map(([input, { dtype, data, dims }]) => [input, new ort.Tensor(dtype, data, dims)]))
    const results = await run(session, feeds, fetches, `${where(source)}, sample ${count}`)
    for (const value of outputs) {
      const { type, data } = results[value]!
      if (type === 'float32' && (data as Float32Array).some(Number.isNaN)) throw alreadyNaN(name, value, count)
    }
    for (const { value, some, step, min, max, sum } of watched) {
      const [least, most, total] = [min, max, sum].map((result) => (results[result]!.data as Float32Array)[0] ?? 0) as [number, number, number]
      const weight = Number((results[step]!.data as BigInt64Array)[0])
      addValues(histograms.get(value)!, results[some]!.data as Float32Array, { weight, min: least, max: most, finite: Number.isFinite(total) })
    }
  }
  await session.release()
  if (source.kind === 'module' && hash.digest() !== digest) {
    const hint = 'Draw random numbers from a seed'
    throw new OnnxEngineError('SAMPLES_INVALID', where(source), { expected: 'the same samples each time', received: 'other samples the second time', hint })
  }
  await writeFile(output, JSON.stringify([...histograms].map(([value, histogram]) => [value, rangeOf(histogram, percentile)])))
}

/** Names of what is computed of one value in the model that calibration runs. */
interface Watched {
  readonly value: string
  /** Every n-th element, and n. */
  readonly some: string
  readonly step: string
  readonly min: string
  readonly max: string
  readonly sum: string
}

// Of larger values only a part is counted, for the sake of memory. Counting less of smaller ones was twice as fast, but cost a text detector,
// whose text is rare, its tails: its cosine fell from 0.98 to 0.95. The steps are primes, so that they do not fall into step with rows.
const thinning = [[2 ** 21, 7], [2 ** 24, 61]] as const

/**
 * Writes the model with more outputs: of each value its least and largest element, their sum, which is not finite when one of them is not, and
 * every n-th element.
 */
async function observe(model: string, file: string, values: readonly string[]): Promise<{ outputs: readonly string[]; watched: readonly Watched[] }> {
  const editable = await loadGraph(model)
  upgradeOpset(editable, 13)
  const { graph } = editable.proto
  const outputs = graph.output.map(({ name }) => name)
  const newName = nameMaker(editable)
  const constant = (...numbers: number[]) => addConstant({ graph }, newName('observed'), { dtype: 'int64', dims: [numbers.length] }, BigInt64Array.from(numbers, BigInt))
  const [flat, first, end, one] = [constant(-1), constant(0), constant(Number.MAX_SAFE_INTEGER), constant(1)]
  const steps = thinning.map(([size, step]) => ({ size: constant(size), step: constant(step) }))
  const add = (operator: string, input: string[], attribute = [] as ReturnType<typeof newAttribute>[]) => {
    const output = newName('observed')
    graph.node.push(newNode(operator, input, [output], { name: output, attribute }))
    return output
  }
  const watched = values.map((value): Watched => {
    const size = add('Size', [value])
    const step = steps.reduce((smaller, larger) => add('Where', [add('Greater', [size, larger.size]), larger.step, smaller]), one)
    const some = add('Slice', [add('Reshape', [value, flat]), first, end, first, step])
    const all = [newAttribute('keepdims', { int: 0 })]
    return { value, some, step, min: add('ReduceMin', [value], all), max: add('ReduceMax', [value], all), sum: add('ReduceSum', [value], all) }
  })
  for (const { some, step, min, max, sum } of watched) {
    for (const name of [some, min, max, sum]) graph.output.push(declared(name, 'float32'))
    graph.output.push(declared(step, 'int64'))
  }
  await writeGraph(editable, file)
  return { outputs, watched }
}

function declared(name: string, dtype: 'float32' | 'int64'): Message<'ValueInfoProto'> {
  const tensorType = newMessage('TensorTypeProto', { elemType: dtypes[dtype].code })
  return newMessage('ValueInfoProto', { name, type: newMessage('TypeProto', { tensorType }) })
}

async function open(ort: Onnxruntime, file: string, name: string): Promise<Session> {
  try {
    return await ort.InferenceSession.create(file, { executionProviders: ['cpu'], logSeverityLevel: 3 })
  } catch (cause) {
    throw new OnnxEngineError('COMPILE_FAILED', `${name}: ONNX Runtime cannot run the model for calibration: ${(cause as Error).message}`, { cause })
  }
}

async function run(session: Session, feeds: Readonly<Record<string, unknown>>, fetches: readonly string[], place: string): ReturnType<Session['run']> {
  try {
    return await session.run(feeds, fetches)
  } catch (cause) {
    throw new OnnxEngineError('SAMPLES_INVALID', `${place}: the model cannot run it: ${(cause as Error).message}`, { cause })
  }
}

function alreadyNaN(name: string, output: string, count: number): OnnxEngineError {
  return new OnnxEngineError('SAMPLES_INVALID', `${name}: output ${quote(output)} of sample ${count}`, {
    expected: 'numbers from the fp32 model',
    received: 'NaN before anything was quantized',
    hint: 'Check the sample, or the model itself with ?engine=fp32',
  })
}
