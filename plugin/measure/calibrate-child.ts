import { writeFile } from 'node:fs/promises'
import { join, dirname } from 'node:path'
import { elementCount } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { ChildTask } from '../child/contract.ts'
import { newAttribute } from '../onnx/attribute.ts'
import { declareValue, nameMaker, newNode } from '../onnx/edit.ts'
import { loadGraph } from '../onnx/graph.ts'
import { upgradeOpset } from '../onnx/upgrade.ts'
import { writeGraph } from '../onnx/write.ts'
import { sampleHash } from '../samples/hash.ts'
import { readSamples } from '../samples/read.ts'
import { type SampleSource, where } from '../samples/source.ts'
import { quote } from '../text.ts'
import type { Observed } from './counting-worker.ts'
import { startCounting } from './counting.ts'
import { type Onnxruntime, feedsOf, type Results, type Session, quiet, type Feeds } from './feed.ts'

/** Settings for the calibration process. */
export interface CalibrateSettings {
  readonly source: SampleSource
  /** URL of the ONNX Runtime module. */
  readonly module: string
  /** Names of the float32 values to observe. */
  readonly values: readonly string[]
  readonly percentile: number
  /** Digest of the samples, as in the key. */
  readonly digest: string
}

/**
 * Runs the model on each sample and counts the requested values; only the counts stay in memory. Writes the ranges as
 * JSON. Runs in a child process.
 */
export const run: ChildTask = async ({ name, model, output, settings }, log) => {
  const { source, module, values, percentile, digest } = settings as unknown as CalibrateSettings
  const { default: ort } = (await import(module)) as { default: Onnxruntime }
  const file = join(dirname(output), 'observed.onnx')
  const { outputs, watched } = await observe(model, file, values)
  const session = await open(ort, file, name)
  const fetches = [...outputs, ...watched.flatMap(({ stored, scale, zero, sum }) => [stored, scale, zero, sum])]
  const hash = source.kind === 'module' ? sampleHash() : undefined
  const counting = startCounting(values)
  try {
    let count = 0
    for await (const sample of readSamples(source, (state) => log('info', state))) {
      hash?.add(sample)
      count++
      const feeds = feedsOf(ort, sample)
      const results = await infer(session, feeds, fetches, `${where(source)}, sample ${count}`)
      for (const value of outputs) {
        const { type, data } = results[value]!
        if (type === 'float32' && (data as Float32Array).some(Number.isNaN)) throw alreadyNaN(name, value, count)
      }
      await counting.add(watched.map((names) => observed(results, names)))
    }
    await session.release()
    if (hash && hash.digest() !== digest) {
      const hint = 'Draw random numbers from a seed'
      throw new OnnxEngineError('SAMPLES_INVALID', where(source), {
        expected: 'the same samples each time',
        received: 'other samples the second time',
        hint,
      })
    }
    await writeFile(output, JSON.stringify(await counting.ranges(percentile)))
  } finally {
    await counting.stop()
  }
}

/** Names of what is computed of one value in the model that calibration runs. */
interface Watched {
  readonly value: string
  readonly stored: string
  readonly scale: string
  readonly zero: string
  readonly sum: string
}

/**
 * Writes the model with more outputs: of each value what DynamicQuantizeLinear makes of it, which is 8 bits for each
 * element from the least to the largest one, and their sum, which is not finite when one of them is not. To read a
 * quarter of the bytes, and find the range with ONNX Runtime's vector instructions, takes half the time of reading
 * floats.
 */
async function observe(
  model: string,
  file: string,
  values: readonly string[],
): Promise<{ outputs: readonly string[]; watched: readonly Watched[] }> {
  const editable = await loadGraph(model)
  upgradeOpset(editable, 13)
  const { graph } = editable.proto
  const outputs = graph.output.map(({ name }) => name)
  const newName = nameMaker(editable)
  const watched = values.map((value): Watched => {
    const [stored, scale, zero, sum] = [
      newName('observed'),
      newName('observed'),
      newName('observed'),
      newName('observed'),
    ]
    graph.node.push(newNode('DynamicQuantizeLinear', [value], [stored, scale, zero], { name: stored }))
    graph.node.push(
      newNode('ReduceSum', [value], [sum], { name: sum, attribute: [newAttribute('keepdims', { int: 0 })] }),
    )
    for (const name of [stored, zero]) graph.output.push(declareValue(name, 'uint8'))
    for (const name of [scale, sum]) graph.output.push(declareValue(name, 'float32'))
    return { value, stored, scale, zero, sum }
  })
  await writeGraph(editable, file)
  return { outputs, watched }
}

function observed(results: Results, { value, stored, scale, zero, sum }: Watched): Observed {
  const number = (result: string) => (results[result]!.data as Float32Array | Uint8Array)[0] ?? 0
  const { dims, data } = results[stored]!
  const rows = elementCount(dims.slice(0, -1))
  return {
    value,
    data: data as Uint8Array,
    scale: number(scale),
    zero: number(zero),
    finite: Number.isFinite(number(sum)),
    rows,
  }
}

async function open(ort: Onnxruntime, file: string, name: string): Promise<Session> {
  try {
    return await ort.InferenceSession.create(file, { executionProviders: ['cpu'], logSeverityLevel: 3, ...quiet })
  } catch (cause) {
    throw new OnnxEngineError(
      'COMPILE_FAILED',
      `${name}: ONNX Runtime cannot run the model for calibration: ${(cause as Error).message}`,
      { cause },
    )
  }
}

async function infer(session: Session, feeds: Feeds, fetches: readonly string[], place: string): Promise<Results> {
  try {
    return await session.run(feeds, fetches)
  } catch (cause) {
    throw new OnnxEngineError('SAMPLES_INVALID', `${place}: the model cannot run it: ${(cause as Error).message}`, {
      cause,
    })
  }
}

function alreadyNaN(name: string, output: string, count: number): OnnxEngineError {
  return new OnnxEngineError('SAMPLES_INVALID', `${name}: output ${quote(output)} of sample ${count}`, {
    expected: 'numbers from the fp32 model',
    received: 'NaN before anything was quantized',
    hint: 'Check the sample, or the model itself with ?engine=fp32',
  })
}
