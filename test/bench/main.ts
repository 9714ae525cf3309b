import { writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { browserBench } from './browser.ts'
import { buildBench } from './build.ts'
import { bundlersBench } from './bundlers.ts'
import { fp16NetsBench } from './fp16-nets.ts'
import { fp16Bench } from './fp16.ts'
import { inferenceBench } from './inference.ts'
import { int8NetsBench } from './int8-nets.ts'
import { int8Bench } from './int8.ts'
import { keyBench } from './key.ts'
import { loadBench } from './load.ts'
import { nodeBench } from './node.ts'
import { openvinoBench } from './openvino.ts'
import { precisionBench } from './precision.ts'
import { measured, ratio, reached, type Bench, type Row } from './row.ts'
import { serversBench } from './servers.ts'
import { sizeBench } from './size.ts'
import { startBench } from './start.ts'
import { tensorrtBench } from './tensorrt.ts'
import { toolsBench } from './tools.ts'
import { verifyBench } from './verify.ts'
import { viewBench } from './view.ts'

/** All benchmarks by name; `npm run bench start key` runs two of them. */
const benches: Readonly<Record<string, Bench>> = {
  start: startBench,
  load: loadBench,
  node: nodeBench,
  inference: inferenceBench,
  build: buildBench,
  browser: browserBench,
  bundlers: bundlersBench,
  key: keyBench,
  verify: verifyBench,
  openvino: openvinoBench,
  tensorrt: tensorrtBench,
  precision: precisionBench,
  fp16: fp16Bench,
  'fp16-nets': fp16NetsBench,
  int8: int8Bench,
  'int8-nets': int8NetsBench,
  servers: serversBench,
  size: sizeBench,
  tools: toolsBench,
  view: viewBench,
}

const names = process.argv.slice(2)
const unknown = names.find((name) => !Object.hasOwn(benches, name))
if (unknown) throw new Error(`no benchmark '${unknown}'; there are ${Object.keys(benches).join(', ')}`)

const cpu = `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} threads`
console.log(`${cpu}, Node.js ${process.version}, ${process.platform}-${process.arch}\n`)
console.log('| what | compared with | ours | peer | ratio | aim | |\n|---|---|---|---|---|---|---|')
const rows: Row[] = []
for (const [name, bench] of Object.entries(benches)) {
  if (names.length > 0 && !names.includes(name)) continue
  for (const row of await bench()) {
    rows.push(row)
    console.log(line(row))
  }
}
const results = rows.map((row) => ({ ...row, ratio: ratio(row), reached: reached(row) }))
writeFileSync('bench.json', `${JSON.stringify(results, null, 2)}\n`)

function line(row: Row): string {
  const { name, beside, ours, peer, unit, aim } = row
  const cells = [
    name,
    beside,
    `${number(ours)} ${unit}`,
    `${number(peer)} ${unit}`,
    `${ratio(row).toFixed(2)}×`,
    aimText(aim, unit),
    reached(row) ? 'reached' : `missed: ${measured(row).toFixed(2)}`,
  ]
  return `| ${cells.join(' | ')} |`
}

function aimText({ of, atMost, atLeast = 0 }: Row['aim'], unit: string): string {
  const bound = atMost === undefined ? `≥ ${round(atLeast)}` : `≤ ${round(atMost)}`
  if (of === 'ratio') return `${bound}×`
  return of === 'difference' ? `added ${bound} ${unit}` : `${bound} ${unit}`
}

function round(value: number): number {
  return Number(value.toPrecision(3))
}

function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
