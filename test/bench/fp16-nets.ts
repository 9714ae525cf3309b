import { mkdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import ort from 'onnxruntime-node'
import { loadGraph } from '../../plugin/onnx/graph.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { lowerGraph } from '../../plugin/precision/half/lower-graph.ts'
import { sileroModels } from '../support/models.ts'
import { uniform } from '../support/samples.ts'
import { classifier, detector, recogniser, workFolder } from './models.ts'
import { lightNets, runPython } from './python.ts'
import type { Row } from './row.ts'

const peers = ['onnxconverter-common', 'onnxruntime'] as const

// One input for each: with a single input, a lucky rounding would decide.
const seeds = [1, 2, 3, 4, 5, 6]

type Feeds = Readonly<Record<string, ort.Tensor>>

interface Net {
  readonly name: string
  readonly file: string
  readonly inputs: readonly Feeds[]
}

/**
 * The distance between fp16 and fp32 on each net, compared with the converters that Python users have. All run on ONNX
 * Runtime.
 */
export async function fp16NetsBench(): Promise<readonly Row[]> {
  const folder = join(workFolder, 'nets')
  mkdirSync(folder)
  const nets = await allNets()
  const pathOf = (net: Net, whose: string) => join(folder, `${net.name.replaceAll(' ', '-')}.${whose}.onnx`)
  const problems = new Map<string, readonly (string | null)[]>()
  for (const peer of peers) {
    const { result } = await runPython<{ problems: readonly (string | null)[] }>('float16.py', [
      peer,
      ...nets.flatMap((net) => [net.file, pathOf(net, peer)]),
    ])
    problems.set(peer, result.problems)
  }
  const rows: Row[] = []
  for (const [index, net] of nets.entries()) {
    const graph = await loadGraph(net.file)
    await lowerGraph(graph, { dtype: 'float16', maxValue: 4096, maxDepth: Infinity, pinned: new Set() })
    await writeGraph(graph, pathOf(net, 'ours'))
    const expected = await run(net.file, net.inputs)
    const ours = distance(expected, await run(pathOf(net, 'ours'), net.inputs))
    for (const peer of peers) {
      const problem = problems.get(peer)?.[index] ?? null
      const theirs = await orUnusable(`${peer} and ${net.name}`, async () => {
        if (problem !== null) throw new Error(problem)
        return distance(expected, await run(pathOf(net, peer), net.inputs))
      })
      const beside = theirs === undefined ? `${peer}, whose model does not run` : peer
      rows.push({
        name: `fp16 of ${net.name}: root mean square of the difference from fp32`,
        beside,
        ours,
        peer: theirs ?? Infinity,
        unit: '',
        aim,
      })
    }
  }
  return rows
}

// A twentieth of the distance depends on the order in which products are summed.
const aim = { of: 'ratio', atMost: 1.05 } as const

// Undefined when the peer made no model, or one that does not run.
async function orUnusable(name: string, measure: () => Promise<number>): Promise<number | undefined> {
  try {
    return await measure()
  } catch (error) {
    console.warn(`${name}: ${(error as Error).message.trim()}`)
    return undefined
  }
}

// One list for each output of each input.
async function run(file: string, inputs: readonly Feeds[]): Promise<readonly Float32Array[]> {
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 4 })
  const lists: Float32Array[] = []
  for (const feeds of inputs) {
    const results = await session.run(feeds)
    lists.push(...session.outputNames.map((name) => results[name]!.data as Float32Array))
  }
  await session.release()
  return lists
}

function distance(expected: readonly Float32Array[], received: readonly Float32Array[]): number {
  const squares = expected.map((values, index) =>
    values.reduce((sum, value, at) => sum + (value - received[index]![at]!) ** 2, 0),
  )
  return Math.sqrt(
    squares.reduce((sum, square) => sum + square, 0) / expected.reduce((sum, { length }) => sum + length, 0),
  )
}

async function allNets(): Promise<readonly Net[]> {
  const ocr = { 'the OCR detector': detector, 'the OCR recogniser': recogniser, 'the OCR classifier': classifier }
  return [
    ...Object.entries(ocr).map(([name, { file, input, dims }]) => ({
      name,
      file,
      inputs: seeds.map((seed) => ({ [input]: values(dims, seed) })),
    })),
    ...(await Promise.all(
      (await lightNets()).map(async (file) => ({
        name: basename(file, '.onnx'),
        file,
        inputs: await imageFeeds(file),
      })),
    )),
    ...Object.entries(sileroModels).map(([name, file]) => ({
      name: `Silero VAD (${name})`,
      file,
      inputs: seeds.map((seed) => sileroFeeds(name, seed)),
    })),
  ]
}

async function imageFeeds(file: string): Promise<readonly Feeds[]> {
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 4 })
  const [name = ''] = session.inputNames
  await session.release()
  return seeds.map((seed) => ({ [name]: values([1, 3, 224, 224], seed) }))
}

function sileroFeeds(name: string, seed: number): Feeds {
  const feeds = { input: values([1, 576], seed), state: values([2, 1, 128], seed + 100) }
  return name === 'tuned' ? feeds : { ...feeds, sr: new ort.Tensor('int64', BigInt64Array.of(16_000n), []) }
}

function values(dims: readonly number[], seed: number): ort.Tensor {
  const length = dims.reduce((product, dim) => product * dim, 1)
  return new ort.Tensor('float32', uniform(length, seed, 1), [...dims])
}
