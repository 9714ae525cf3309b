import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Options } from 'unplugin-onnx'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { findOpenVino } from '../../runtime/openvino/library.ts'
import { affineModel } from '../support/models.ts'
import { runNode } from './measure.ts'
import { classifier, compiled, detector, recogniser, workFolder, type BenchModel } from './models.ts'
import type { Row } from './row.ts'
import { openSide, sideBySide } from './side.ts'

const repository = dirname(createRequire(import.meta.url).resolve('unplugin-onnx/package.json'))
const starter = fileURLToPath(new URL('./start-child.js', import.meta.url))
const beside = 'onnxruntime-node'
const backend = 'openvino'

/** OpenVINO compared with ONNX Runtime, and the time that our runtime adds to OpenVINO's C API. Needs the library. */
export async function openvinoBench(): Promise<readonly Row[]> {
  process.env['OPENVINO_ROOT'] ||= join(repository, '.vendor', 'openvino-2026.4.1')
  const library = findOpenVino()
  if ('reason' in library) {
    console.warn(`no rows for OpenVINO: ${library.reason}`)
    return []
  }
  return [
    await perCall(detector, { name: 'detector 640x640, OpenVINO fp32', calls: 5, atMost: 0.6 }),
    await perCall(recogniser, { name: 'recogniser 48x320, OpenVINO fp32', calls: 15, atMost: 0.75 }),
    ...(computesBf16() ? [await perCall(detector, bf16)] : []),
    await start(),
    await addedTime(library.file),
    await delay(),
    await callers(),
  ]
}

interface PerCall {
  readonly name: string
  readonly calls: number
  readonly atMost: number
  readonly options?: Options
}

const bf16: PerCall = {
  name: 'detector 640x640, OpenVINO bf16',
  calls: 5,
  atMost: 0.4,
  options: { engine: 'bf16' },
}

async function perCall(model: BenchModel, { name, calls, atMost, options = {} }: PerCall): Promise<Row> {
  const manifest = await engine(model, options)
  const times = await sideBySide({ manifest, backend, model }, 7, { what: 'call', calls })
  return { name: `time per inference, ${name}`, beside, ...times, unit: 'ms', aim: { of: 'ratio', atMost } }
}

async function start(): Promise<Row> {
  const manifest = await engine(recogniser, {})
  const times = await inTurn(
    7,
    async () => (await runNode(starter, ['ours', manifest, recogniser.dims.join('x')])).milliseconds,
    async () => (await runNode(starter, ['peer', recogniser.file, recogniser.dims.join('x')])).milliseconds,
  )
  return {
    name: 'process start to first result, recogniser, OpenVINO',
    beside: `${beside} from the .onnx`,
    ...times,
    unit: 'ms',
    aim: { of: 'ratio', atMost: 0.5 },
  }
}

async function addedTime(library: string): Promise<Row> {
  const tiny: BenchModel = { file: join(workFolder, 'tiny-openvino.onnx'), input: 'x', dims: [1, 4] }
  writeFileSync(tiny.file, affineModel())
  const manifest = await engine(tiny, {})
  const blob = join(dirname(manifest), firstFile(manifest))
  const build = join(repository, 'native', 'build')
  execFileSync('cmake', ['--build', build, '--target', 'openvino_plain_loop'], { stdio: 'ignore' })
  const loop = async () =>
    Number(
      execFileSync(join(build, 'openvino_plain_loop'), [library, blob, 'LATENCY', 'x', 'y', '5000', '1', '4'], {
        encoding: 'utf8',
      }),
    )
  const ours = openSide(manifest, tiny, backend)
  const times = await inTurn(5, () => ours.measure({ what: 'call', calls: 5000 }), loop)
  ours.close()
  return {
    name: 'added time per inference, two nodes, OpenVINO',
    beside: `OpenVINO's C API in a loop`,
    ...times,
    unit: 'ms',
    aim: { of: 'difference', atMost: 0.04 },
  }
}

async function delay(): Promise<Row> {
  const manifest = await engine(detector, {})
  const times = await sideBySide({ manifest, backend, model: detector }, 3, { what: 'delay', calls: 20 })
  return {
    name: 'event-loop delay (p99) while the detector runs, OpenVINO',
    beside,
    ...times,
    unit: 'ms',
    aim: { of: 'ours', atMost: 2 },
  }
}

async function callers(): Promise<Row> {
  const manifest = await engine(classifier, { openvino: { performanceHint: 'throughput' } })
  const { ours, peer } = await sideBySide(
    { manifest, backend, model: classifier },
    25,
    { what: 'together', calls: 16 },
    { what: 'call', calls: 16 },
  )
  return {
    name: '16 callers at once, classifier, OpenVINO tuned for throughput, total',
    beside: `${beside}, one after another`,
    ours,
    peer: 16 * peer,
    unit: 'ms',
    aim: { of: 'ratio', atMost: 1 / 1.5 },
  }
}

async function engine(model: BenchModel, options: Options): Promise<string> {
  return compiled(model, { backends: ['openvino'], shapes: { [model.input]: model.dims }, ...options })
}

function firstFile(manifest: string): string {
  const { variants } = JSON.parse(readFileSync(manifest, 'utf8')) as { variants: readonly { file: string }[] }
  return variants[0]?.file ?? ''
}

function computesBf16(): boolean {
  return process.platform === 'linux' && /\bavx512_bf16\b|\bamx_bf16\b/.test(readFileSync('/proc/cpuinfo', 'latin1'))
}
