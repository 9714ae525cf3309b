import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { dtypes } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { CompileInChild } from '../backend/contract.ts'
import { loadGraph } from '../onnx/graph.ts'
import { newMessage, quote } from '../onnx/proto.ts'
import { writeGraph } from '../onnx/write.ts'
import { sampleHash } from './digest-child.ts'
import { addValues, type Histogram, newHistogram, rangeOf } from './histogram.ts'
import { readSamples, type Sample } from './read-samples.ts'
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
  const fetched = values.filter((value) => !inputs.has(value))
  const { default: ort } = (await import(module)) as { default: Onnxruntime }
  const { session, outputs } = await openSession(ort, model, join(dirname(output), 'observed.onnx'), fetched, name)
  const histograms = new Map<string, Histogram>(values.map((value) => [value, newHistogram()]))
  const sizes = new Map<string, number>()
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
    for (const group of groupBySize([...new Set([...outputs, ...fetched])], sizes, elements(sample))) {
      for (const [value, { type, data }] of Object.entries(await run(session, feeds, group, `${where(source)}, sample ${count}`))) {
        if (type !== 'float32') continue
        const numbers = data as Float32Array
        sizes.set(value, Math.max(sizes.get(value) ?? 0, numbers.byteLength / elements(sample)))
        if (outputs.includes(value) && numbers.some(Number.isNaN)) throw alreadyNaN(name, value, count)
        const histogram = histograms.get(value)
        if (histogram) addValues(histogram, numbers)
      }
    }
  }
  await session.release()
  if (source.kind === 'module' && hash.digest() !== digest) {
    const hint = 'Draw random numbers from a seed'
    throw new OnnxEngineError('SAMPLES_INVALID', where(source), { expected: 'the same samples each time', received: 'other samples the second time', hint })
  }
  await writeFile(output, JSON.stringify([...histograms].map(([value, histogram]) => [value, rangeOf(histogram, percentile)])))
}

async function openSession(ort: Onnxruntime, model: string, observed: string, values: readonly string[], name: string): Promise<{ session: Session; outputs: string[] }> {
  const graph = await loadGraph(model)
  const outputs = graph.proto.graph.output.map((value) => value.name)
  for (const value of values) {
    if (outputs.includes(value)) continue
    const tensorType = newMessage('TensorTypeProto', { elemType: dtypes.float32.code })
    graph.proto.graph.output.push(newMessage('ValueInfoProto', { name: value, type: newMessage('TypeProto', { tensorType }) }))
  }
  await writeGraph(graph, observed)
  try {
    return { session: await ort.InferenceSession.create(observed, { executionProviders: ['cpu'], logSeverityLevel: 3 }), outputs }
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

// Bytes of values that one run may give: a large model has gigabytes of them.
const budget = 2 ** 28
// How many values are fetched at once while their sizes are not known yet.
const unknownGroup = 16

/** Splits the fetches so that each run gives about the budget at most. `sizes` are bytes for each element of the inputs. */
function groupBySize(fetches: readonly string[], sizes: ReadonlyMap<string, number>, inputElements: number): string[][] {
  const groups: string[][] = []
  let bytes = Infinity
  for (const fetch of fetches) {
    const size = sizes.size === 0 ? budget / unknownGroup : (sizes.get(fetch) ?? 0) * inputElements
    if (bytes + size > budget) {
      groups.push([])
      bytes = 0
    }
    groups.at(-1)?.push(fetch)
    bytes += size
  }
  return groups
}

function elements(sample: Sample): number {
  let count = 0
  for (const { dims } of sample.values()) count += dims.reduce((product, dim) => product * dim, 1)
  return count
}

function alreadyNaN(name: string, output: string, count: number): OnnxEngineError {
  return new OnnxEngineError('SAMPLES_INVALID', `${name}: output ${quote(output)} of sample ${count}`, {
    expected: 'numbers from the fp32 model',
    received: 'NaN before anything was quantized',
    hint: 'Check the sample, or the model itself with ?engine=fp32',
  })
}
