import { mkdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import ort from 'onnxruntime-node'
import { loadGraph } from '../../plugin/onnx/graph.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { lowerGraph } from '../../plugin/precision/mixed.ts'
import { sileroModels } from '../models.ts'
import { cosine, uniform } from '../samples.ts'
import { classifier, detector, recogniser, workFolder } from './models.ts'
import { lightNets, runPython } from './python.ts'
import type { Row } from './row.ts'

const peer = 'onnxconverter-common'

type Feeds = Readonly<Record<string, ort.Tensor>>

interface Net {
  readonly name: string
  readonly file: string
  readonly feeds: Feeds
}

/** How far fp16 is from fp32 on each net that we know, beside the converter that Python users have; both run on ONNX Runtime. */
export async function fp16NetsBench(): Promise<readonly Row[]> {
  const folder = join(workFolder, 'nets')
  mkdirSync(folder)
  const nets = await allNets()
  const pathOf = (net: Net, whose: string) => join(folder, `${net.name.replaceAll(' ', '-')}.${whose}.onnx`)
  const { result: { problems } } = await runPython<{ problems: readonly (string | null)[] }>('float16.py', nets.flatMap((net) => [net.file, pathOf(net, 'theirs')]))
  const rows: Row[] = []
  for (const [index, net] of nets.entries()) {
    const graph = await loadGraph(net.file)
    await lowerGraph(graph, { dtype: 'float16', maxValue: 4096, maxDepth: Infinity, pinned: new Set() })
    await writeGraph(graph, pathOf(net, 'ours'))
    const expected = await run(net.file, net.feeds)
    const ours = distance(expected, await run(pathOf(net, 'ours'), net.feeds))
    const theirs = await peerDistance(net.name, problems[index] ?? null, expected, pathOf(net, 'theirs'), net.feeds)
    const beside = theirs ? peer : `${peer}, whose model does not run`
    rows.push(
      { name: `fp16 of ${net.name}: 1 - cosine`, beside, ours: ours.cosine, peer: theirs?.cosine ?? Infinity, unit: '', aim },
      { name: `fp16 of ${net.name}: largest difference`, beside, ours: ours.maxAbs, peer: theirs?.maxAbs ?? Infinity, unit: '', aim },
    )
  }
  return rows
}

// A twentieth of a distance depends on the order in which a product is summed up.
const aim = { of: 'ratio', atMost: 1.05 } as const

interface Distance {
  readonly cosine: number
  readonly maxAbs: number
}

// Undefined when there is no model, or it does not run.
async function peerDistance(name: string, problem: string | null, expected: readonly Float32Array[], file: string, feeds: Feeds): Promise<Distance | undefined> {
  try {
    if (problem !== null) throw new Error(problem)
    return distance(expected, await run(file, feeds))
  } catch (error) {
    console.warn(`${peer} breaks ${name}: ${(error as Error).message.trim()}`)
    return undefined
  }
}

async function run(file: string, feeds: Feeds): Promise<readonly Float32Array[]> {
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 4 })
  const results = await session.run(feeds)
  await session.release()
  return session.outputNames.map((name) => results[name]!.data as Float32Array)
}

// Of the worst output.
function distance(expected: readonly Float32Array[], received: readonly Float32Array[]): Distance {
  const pairs = expected.map((values, index) => [values, received[index]!] as const)
  const differences = pairs.map(([a, b]) => a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at]!)), 0))
  return { cosine: Math.max(0, ...pairs.map(([a, b]) => 1 - cosine(a, b))), maxAbs: Math.max(...differences) }
}

async function allNets(): Promise<readonly Net[]> {
  const ocr = { 'the OCR detector': detector, 'the OCR recogniser': recogniser, 'the OCR classifier': classifier }
  return [
    ...Object.entries(ocr).map(([name, { file, input, dims }]) => ({ name, file, feeds: { [input]: values(dims) } })),
    ...await Promise.all((await lightNets()).map(async (file) => ({ name: basename(file, '.onnx'), file, feeds: await imageFeeds(file) }))),
    ...Object.entries(sileroModels).map(([name, file]) => ({ name: `Silero VAD (${name})`, file, feeds: sileroFeeds(name) })),
  ]
}

async function imageFeeds(file: string): Promise<Feeds> {
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 4 })
  const [name = ''] = session.inputNames
  await session.release()
  return { [name]: values([1, 3, 224, 224]) }
}

function sileroFeeds(name: string): Feeds {
  const feeds = { input: values([1, 576]), state: values([2, 1, 128]) }
  return name === 'tuned' ? feeds : { ...feeds, sr: new ort.Tensor('int64', BigInt64Array.of(16_000n), []) }
}

function values(dims: readonly number[]): ort.Tensor {
  const length = dims.reduce((product, dim) => product * dim, 1)
  return new ort.Tensor('float32', uniform(length, 7, 1), [...dims])
}
