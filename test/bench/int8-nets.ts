import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import { compile, type Options } from 'unplugin-onnx'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { readModel } from '../../plugin/onnx/model.ts'
import { parseNpy } from '../../plugin/samples/npy.ts'
import { formatBytes } from '../../plugin/text.ts'
import { allNets, type Net } from '../nets/packages.ts'
import { cosine, normal, npy } from '../support/samples.ts'
import { workFolder } from './models.ts'
import { runPython } from './python.ts'
import type { Row } from './row.ts'

/** A quantizer of others, and its settings, of which each net gets the nearest to fp32 that ONNX Runtime loads. */
interface Peer {
  readonly name: string
  readonly script: string
  readonly requirements: string
  readonly settings: readonly string[]
}

const peers: readonly Peer[] = [
  {
    name: 'quantize_static',
    script: 'quantize.py',
    requirements: 'requirements.txt',
    settings: ['pre-channels', 'opset-pre-channels-u8'],
  },
  {
    name: 'NNCF',
    script: 'quantize_nncf.py',
    requirements: 'nncf.txt',
    settings: ['opset', 'opset-mixed', 'default'],
  },
]

const [seenCount, otherCount] = [8, 4]

/** A net with one input of floats, and what it is measured on. */
interface Subject extends Net {
  readonly input: string
  readonly dims: readonly number[]
  /** Folders of .npy files: samples, and others that no calibration has seen. */
  readonly seen: string
  readonly other: string
  /** What the net gives for the others. */
  readonly expected: Outputs
}

/** Of each output, the numbers for all inputs one after the other. */
type Outputs = ReadonlyMap<string, Float32Array>

/** What became of a net in int8. */
interface Figures {
  /** Time over that of fp32. */
  readonly ratio: number
  readonly cosine: number
  readonly bytes: number
  readonly text: string
}

type Outcome = Figures | string

/**
 * int8 of nets that packages ship: with and without the search for what stays in fp32, and by the quantizers of others.
 * Prints a table. The inputs are made up, smooth as images and sounds are, so that only distances count.
 */
export async function int8NetsBench(): Promise<readonly Row[]> {
  const titles = ['net', 'fp32', 'int8 without a search', 'int8', ...peers.map(({ name }) => name)]
  console.log(`| ${titles.join(' | ')} |\n${'|---'.repeat(titles.length)}|`)
  const ours: Outcome[] = []
  const theirs = peers.map((): Outcome[] => [])
  for (const net of await subjects()) {
    const before = await compiledFigures(net, { search: false })
    const now = await compiledFigures(net, {})
    ours.push(now)
    const others: Outcome[] = []
    for (const peer of peers) others.push(await peerFigures(net, peer))
    others.forEach((outcome, index) => theirs[index]!.push(outcome))
    const cells = [net.title, formatBytes(statSync(net.file).size), ...[before, now, ...others].map(cell)]
    console.log(`| ${cells.join(' | ')} |`)
  }
  return peers.flatMap(({ name }, index) => rowsBeside(name, ours, theirs[index]!))
}

function rowsBeside(peer: string, ours: readonly Outcome[], theirs: readonly Outcome[]): readonly Row[] {
  const [our, their] = [ratiosOf(ours), ratiosOf(theirs)]
  const distances = ours.map((one, index) => [distanceOf(one), distanceOf(theirs[index]!)] as const)
  const nearer = distances.filter(([mine, other]) => mine < Infinity && mine <= other).length
  return [
    {
      name: 'nets with an int8 engine, none slower than fp32',
      beside: `nets that ${peer} makes, and ONNX Runtime loads`,
      ours: our.length,
      peer: their.length,
      unit: '',
      aim: { of: 'ratio', atLeast: 1 },
    },
    {
      name: 'slowest of these engines, time over that of fp32',
      beside: `that of ${peer}`,
      ours: Math.max(...our),
      peer: Math.max(...their),
      unit: '',
      aim: { of: 'ours', atMost: 1.05 },
    },
    {
      name: `nets whose outputs are as near to fp32 as those of ${peer}, or nearer`,
      beside: 'all',
      ours: nearer,
      peer: ours.length,
      unit: '',
      aim: { of: 'ratio', atLeast: 0.667 },
    },
  ]
}

function ratiosOf(outcomes: readonly Outcome[]): readonly number[] {
  return outcomes.flatMap((one) => (typeof one === 'string' ? [] : [one.ratio]))
}

async function subjects(): Promise<readonly Subject[]> {
  const found: Subject[] = []
  for (const net of await allNets()) {
    if (net.title.startsWith('onnx: ')) continue
    const { bindings } = await readModel(net.file)
    const [input, ...others] = bindings.inputs
    if (!input || others.length > 0 || input.dtype !== 'float32') continue
    const dims = net.shapes[input.name] ?? input.dims?.map((dim) => (typeof dim === 'number' ? dim : 1)) ?? []
    const base = join(workFolder, 'int8-nets', net.title.replaceAll(/\W+/g, '-'))
    const subject = { ...net, input: input.name, dims, seen: join(base, 'seen'), other: join(base, 'other') }
    writeSamples(subject.seen, dims, seenCount, 1)
    writeSamples(subject.other, dims, otherCount, 1000)
    found.push({ ...subject, expected: await outputsOf(await open(net.file), subject) })
  }
  return found
}

function writeSamples(folder: string, dims: readonly number[], count: number, seed: number): void {
  mkdirSync(folder, { recursive: true })
  for (let index = 0; index < count; index++) {
    const noise = normal(
      dims.reduce((product, dim) => product * dim, 1),
      seed + index,
    )
    let level = 0
    const smooth = noise.map((value) => Math.tanh((level = 0.9 * level + 0.4 * value)))
    writeFileSync(join(folder, `${index}.npy`), npy(dims, smooth))
  }
}

async function compiledFigures(net: Subject, precision: Options['precision']): Promise<Outcome> {
  const options: Options = {
    engine: 'int8',
    backends: ['onnxruntime'],
    onnxruntime: { portable: false },
    dims: 'loose',
    shapes: { [net.input]: net.dims },
    calibration: join(net.seen, '*.npy'),
    verify: { samples: join(net.other, '*.npy') },
    precision: { ...precision, budget: '1m' },
    cache: { dir: join(workFolder, 'cache') },
  }
  try {
    const { variants } = await compile(net.file, options, { log: () => {}, warn: () => {} })
    const [variant] = variants
    if (!variant || variant.engine !== 'int8') return `fp32: ${variant?.gain?.losses.join(', ') ?? ''}`
    const { lowering } = variant.report ?? {}
    const near = cosineTo(net.expected, await outputsOf(await open(variant.artifact.file, 'ORT'), net))
    const kept = `${lowering?.kept.length ?? 0} of ${lowering?.total ?? 0} in fp32`
    return figures({ ratio: variant.gain?.speed.ratio ?? NaN, cosine: near, bytes: variant.artifact.size }, kept)
  } catch (error) {
    return (error as Error).message.split('\n', 1)[0]!.slice(0, 80)
  }
}

async function peerFigures(net: Subject, peer: Peer): Promise<Outcome> {
  const outcomes: Outcome[] = []
  for (const setting of peer.settings) outcomes.push(await quantized(net, peer, setting))
  return outcomes.reduce((best, other) => (distanceOf(other) < distanceOf(best) ? other : best))
}

async function quantized(net: Subject, { name, script, requirements }: Peer, setting: string): Promise<Outcome> {
  const file = join(net.seen, '..', `${name}-${setting}.onnx`)
  const args = [setting, net.file, file, net.seen, String(seenCount)]
  const { result: problem } = await runPython<string | null>(script, args, requirements)
  if (problem !== null) return problem.slice(0, 80)
  try {
    const [fp32, int8] = [await open(net.file), await open(file)]
    const near = cosineTo(net.expected, await outputsOf(int8, net))
    const feeds = { [net.input]: sample(join(net.other, '0.npy')) }
    const times = await inTurn(
      9,
      () => timeOf(int8, feeds),
      () => timeOf(fp32, feeds),
    )
    return figures({ ratio: times.ours / times.peer, cosine: near, bytes: statSync(file).size }, '')
  } catch (error) {
    return (error as Error).message.slice(0, 80)
  }
}

function open(file: string, format = 'ONNX'): Promise<ort.InferenceSession> {
  const extra = { session: { load_model_format: format } }
  return ort.InferenceSession.create(file, { logSeverityLevel: 4, extra })
}

async function outputsOf(
  session: ort.InferenceSession,
  { input, other }: Pick<Subject, 'input' | 'other'>,
): Promise<Outputs> {
  const all = new Map(session.outputNames.map((name): [string, number[]] => [name, []]))
  for (let index = 0; index < otherCount; index++) {
    const results = await session.run({ [input]: sample(join(other, `${index}.npy`)) })
    for (const [name, numbers] of all) for (const value of results[name]!.data as Float32Array) numbers.push(value)
  }
  return new Map([...all].map(([name, numbers]) => [name, Float32Array.from(numbers)]))
}

/** The least cosine of an output. */
function cosineTo(expected: Outputs, received: Outputs): number {
  return Math.min(...[...expected].map(([name, numbers]) => cosine(numbers, received.get(name)!)))
}

function sample(file: string): ort.Tensor {
  const { data, dims } = parseNpy(readFileSync(file))
  return new ort.Tensor('float32', data as Float32Array, dims)
}

async function timeOf(session: ort.InferenceSession, feeds: Record<string, ort.Tensor>): Promise<number> {
  const start = performance.now()
  for (let call = 0; call < 3; call++) await session.run(feeds)
  return (performance.now() - start) / 3
}

function figures(numbers: Omit<Figures, 'text'>, note: string): Figures {
  const { ratio, cosine: near, bytes } = numbers
  const parts = [`${near.toFixed(5)}`, `${ratio.toFixed(2)}×`, formatBytes(bytes), note]
  return { ...numbers, text: parts.filter(Boolean).join(', ') }
}

function cell(outcome: Outcome): string {
  return (typeof outcome === 'string' ? outcome : outcome.text).replaceAll('|', '/')
}

// What is no int8 engine has no distance that could be compared.
function distanceOf(outcome: Outcome): number {
  return typeof outcome === 'string' || Number.isNaN(outcome.cosine) ? Infinity : 1 - outcome.cosine
}
