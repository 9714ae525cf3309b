import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { timed } from '../../plugin/bench/measure-calls.ts'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { median } from '../../plugin/measure/numbers.ts'
import { affineModel, onnxModel } from '../support/models.ts'
import { readWhole, runNode } from './measure.ts'
import { compiled, workFolder } from './models.ts'
import type { Row } from './row.ts'

const command = fileURLToPath(new URL('../../../../dist/plugin/cli.js', import.meta.url))
const overheadChild = fileURLToPath(new URL('./bench-overhead-child.js', import.meta.url))

/** The command line tools: what they add to what they measure. */
export async function toolsBench(): Promise<readonly Row[]> {
  return [await benchOverhead(), ...(await inspectLarge())]
}

/** 64 products of 2048 x 2048: 1 GiB of weights. */
const layers = 64

const layer = (index: number) => ({ op: 'MatMul', inputs: [`v${index}`, `w${index}`], outputs: [`v${index + 1}`] })

async function inspectLarge(): Promise<readonly Row[]> {
  const file = join(workFolder, 'gigabyte.onnx')
  const weights = join(workFolder, 'gigabyte.bin')
  const length = 4 * 2048 * 2048
  const external = (index: number) => ({ location: 'gigabyte.bin', offset: index * length, length })
  const tensor = (index: number) =>
    [`w${index}`, { dtype: 'float32', dims: [2048, 2048], data: [], external: external(index) }] as const
  const indexes = Array.from({ length: layers }, (_, index) => index)
  const graph = { inputs: { v0: 'float32[n,2048]' }, outputs: { [`v${layers}`]: 'float32[n,2048]' } }
  const initializers = Object.fromEntries(indexes.map(tensor))
  writeFileSync(file, onnxModel({ ...graph, nodes: indexes.map(layer), initializers }))
  writeFileSync(weights, '')
  truncateSync(weights, layers * length)
  const inspect = async () => (await runNode(command, ['inspect', file, '--json'])).milliseconds
  const times = await inTurn(5, inspect, () => timed(() => readWhole(weights)))
  const beside = 'reading the file once'
  const memory = await peakMemory(() => spawn(process.execPath, [command, 'inspect', file], { stdio: 'ignore' }))
  return [
    { name: '`inspect` of a 1 GB model', beside, ...times, unit: 'ms', aim: { of: 'ours', atMost: 1000 } },
    {
      name: 'memory of `inspect` of a 1 GB model, all its processes',
      beside: 'its weights',
      ours: memory / 1e6,
      peer: (layers * length) / 1e6,
      unit: 'MB',
      aim: { of: 'ours', atMost: 150 },
    },
  ]
}

/**
 * Most bytes that a process and its children have in memory at once; pages that they share count once. Linux only:
 * elsewhere it is 0.
 */
async function peakMemory(start: () => ChildProcess): Promise<number> {
  const child = start()
  const ended = new Promise((resolve) => child.once('exit', resolve))
  let peak = 0
  const timer = setInterval(() => (peak = Math.max(peak, memoryOfTree(child.pid ?? 0))), 2)
  await ended
  clearInterval(timer)
  return peak
}

// Shared pages are those of Node.js and of the system's libraries: the process with most of them has nearly all.
function memoryOfTree(pid: number): number {
  const processes = treeOf(pid).map(pagesOf)
  return processes.reduce((sum, pages) => sum + pages.own, Math.max(...processes.map(({ shared }) => shared)))
}

function treeOf(pid: number): readonly number[] {
  const children = readProc(`${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number)
  return [pid, ...children.flatMap(treeOf)]
}

function pagesOf(pid: number): { own: number; shared: number } {
  const rows = [...readProc(`${pid}/smaps_rollup`).matchAll(/^(Private|Shared)_\w+: +(\d+) kB/gm)]
  const sum = (kind: string) =>
    rows.reduce((total, [, row, kilobytes]) => total + (row === kind ? 1024 * Number(kilobytes) : 0), 0)
  return { own: sum('Private'), shared: sum('Shared') }
}

/** Text of a file in /proc; '' when the process has ended in the meantime. */
function readProc(file: string): string {
  try {
    return readFileSync(`/proc/${file}`, 'latin1')
  } catch {
    return ''
  }
}

async function benchOverhead(): Promise<Row> {
  const file = join(workFolder, 'overhead.onnx')
  writeFileSync(file, affineModel())
  const { output } = await runNode(overheadChild, [await compiled({ file })])
  const rounds = JSON.parse(output) as { ours: number[]; peer: number[] }
  return {
    name: 'time per call that `bench` measures, two nodes',
    beside: 'a bare loop',
    ours: median(rounds.ours),
    peer: median(rounds.peer),
    unit: 'ms',
    aim: { of: 'ratio', atMost: 1.02 },
  }
}
