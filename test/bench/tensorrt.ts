import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compile, type Options } from 'unplugin-onnx'
import { loadAddon } from '../../native/load-addon.ts'
import { timed } from '../../plugin/bench/measure-calls.ts'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { findTensorRt, type TensorRtLibrary } from '../../runtime/tensorrt/library.ts'
import { runNode, runProgram } from './measure.ts'
import { detector, workFolder } from './models.ts'
import { lightNets } from './python.ts'
import type { Row } from './row.ts'

const repository = dirname(createRequire(import.meta.url).resolve('unplugin-onnx/package.json'))
const child = fileURLToPath(new URL('./tensorrt-child.js', import.meta.url))
const beside = 'a C++ program with the same calls'
const targets = ['sm86', 'sm89', 'sm120']

/** A model, and the dims of the input that they are fixed for, if any. */
interface Net {
  readonly name: string
  readonly file: string
  readonly shapes: NonNullable<Options['shapes']>
}

/**
 * Building TensorRT-RTX engines, compared with a C++ program that makes the same calls. Needs Linux and the library.
 */
export async function tensorrtBench(): Promise<readonly Row[]> {
  process.env['TENSORRT_RTX_ROOT'] ||= join(repository, '.vendor', 'tensorrt-rtx-1.7.1.116')
  const library = findTensorRt('tensorrt-rtx')
  const addon = loadAddon('tensorrt_rtx_1_7')
  const reason =
    process.platform === 'linux'
      ? [library, addon].flatMap((it) => ('reason' in it ? [it.reason] : []))[0]
      : 'they are measured on Linux only'
  if (reason !== undefined || !('file' in library)) {
    console.warn(`no rows for TensorRT-RTX: ${reason}`)
    return []
  }
  const program = compileProgram()
  const densenet = (await lightNets()).find((file) => file.endsWith('densenet121.onnx'))!
  const nets: readonly Net[] = [
    { name: 'detector 640x640', file: detector.file, shapes: { x: detector.dims } },
    { name: 'densenet121', file: densenet, shapes: {} },
  ]
  const rows: Row[] = []
  for (const net of nets) rows.push(await time(net, program, library), await memory(net, program, library))
  return [...rows, await together(nets[1]!), await delay(nets[1]!)]
}

async function time(net: Net, program: string, library: TensorRtLibrary): Promise<Row> {
  const times = await inTurn(
    3,
    () => seconds(() => build(net)),
    () => seconds(() => runProgram(program, argumentsOf(net, library))),
  )
  return {
    name: `building ${net.name}, TensorRT-RTX`,
    beside,
    ...times,
    unit: 's',
    aim: { of: 'difference', atMost: 0.1 * times.peer + 0.2 },
  }
}

async function seconds(run: () => Promise<unknown>): Promise<number> {
  return (await timed(run)) / 1000
}

async function memory(net: Net, program: string, library: TensorRtLibrary): Promise<Row> {
  const peak = async (command: readonly string[]) =>
    Number((await runProgram(program, ['peak', ...command])).output) / 1000
  const ours = [process.execPath, child, 'build', net.file, JSON.stringify(net.shapes), JSON.stringify(targets)]
  const peaks = await inTurn(
    1,
    () => peak(ours),
    () => peak([program, ...argumentsOf(net, library)]),
  )
  return {
    name: `peak memory of building ${net.name}, TensorRT-RTX`,
    beside,
    ...peaks,
    unit: 'MB',
    aim: { of: 'ratio', atMost: 1.15 },
  }
}

// One model for two GPUs: two builds that take about the same time.
async function together(net: Net): Promise<Row> {
  const alone = (target: string) => timed(() => build(net, [target]))
  const both = () => timed(() => Promise.all([build(net, ['sm86']), build(net, ['sm89'])]))
  const times = await inTurn(2, both, async () => Math.max(await alone('sm86'), await alone('sm89')))
  const cores = availableParallelism()
  return {
    name: `building two models at once on ${cores} cores, densenet121, TensorRT-RTX`,
    beside: 'the longer one alone',
    ...times,
    unit: 'ms',
    aim: { of: 'ratio', atMost: 1.2 },
  }
}

async function delay(net: Net): Promise<Row> {
  const delays = await inTurn(
    1,
    async () =>
      Number((await runNode(child, ['delay', net.file, JSON.stringify(net.shapes), JSON.stringify(targets)])).output),
    async () => 1,
  )
  return {
    name: `event-loop delay (p99) of Vite's dev server while it builds densenet121, TensorRT-RTX`,
    beside: 'a timer of 1 ms',
    ...delays,
    unit: 'ms',
    aim: { of: 'ours', atMost: 10 },
  }
}

/** Builds in this process, as the plugin does, with an empty cache. */
async function build({ file, shapes }: Net, only: readonly string[] = targets): Promise<void> {
  await compile(file, {
    backends: ['tensorrt-rtx'],
    targets: only,
    shapes,
    cache: { dir: mkdtempSync(join(workFolder, 'cache-')) },
  })
}

function argumentsOf({ file, shapes }: Net, { file: library, parser }: TensorRtLibrary): readonly string[] {
  const [input, dims] = Object.entries(shapes)[0] ?? ['', [1]]
  return [
    library,
    parser,
    file,
    join(workFolder, 'peer.engine'),
    input,
    dims.join('x'),
    ...targets.map((target) => target.slice(2)),
  ]
}

function compileProgram(): string {
  const program = join(workFolder, 'tensorrt-build')
  const headers = join(repository, '.vendor', 'tensorrt-headers-0.9.1+rtx1.7')
  const includes = ['-isystem', join(headers, 'TRT-RTX-1.7'), '-isystem', headers]
  const source = join(repository, 'test', 'bench', 'tensorrt-build.cc')
  execFileSync(
    process.env['CXX'] || 'c++',
    ['-std=c++17', '-O2', '-Wall', '-Wextra', '-Werror', ...includes, source, '-o', program, '-ldl'],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  )
  return program
}
