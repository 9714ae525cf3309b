import { mkdtempSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { compile, type Options } from 'unplugin-onnx'
import { timed } from '../../plugin/bench/measure-calls.ts'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { findOpenVino } from '../../runtime/openvino/library.ts'
import { type BenchModel, classifier, detector, recogniser, workFolder } from './models.ts'
import type { Row } from './row.ts'

const repository = dirname(createRequire(import.meta.url).resolve('unplugin-onnx/package.json'))

/** The time that verification adds to the first build of an engine; later builds take its result from the cache. */
export async function verifyBench(): Promise<readonly Row[]> {
  process.env['OPENVINO_ROOT'] ||= join(repository, '.vendor', 'openvino-2026.4.1')
  const library = findOpenVino()
  if ('reason' in library) console.warn(`no rows for OpenVINO: ${library.reason}`)
  const backends = ['openvino', 'onnxruntime'] as const
  const rows: Row[] = []
  for (const backend of backends.filter((name) => name === 'onnxruntime' || !('reason' in library))) {
    // ONNX Runtime in fp32 is what others are compared with.
    const engine = backend === 'openvino' ? 'fp32' : 'fp16'
    for (const [name, model] of Object.entries({ detector, recogniser, classifier }))
      rows.push(
        await addedBy(`${name} ${model.dims.slice(2).join('x')}, ${backend} ${engine}`, model, { backend, engine }),
      )
  }
  return rows
}

interface Engine {
  readonly backend: 'openvino' | 'onnxruntime'
  readonly engine: 'fp32' | 'fp16'
}

async function addedBy(name: string, { file, input, dims }: BenchModel, { backend, engine }: Engine): Promise<Row> {
  const options: Options = { backends: [backend], engine, shapes: { [input]: [...dims] } }
  const times = await inTurn(
    2,
    () => firstBuild(file, options),
    () => firstBuild(file, { ...options, verify: false }),
  )
  return {
    name: `first build of the ${name}`,
    beside: 'the same with verify: false',
    ours: times.ours / 1000,
    peer: times.peer / 1000,
    unit: 's',
    aim: { of: 'difference', atMost: 3 },
  }
}

async function firstBuild(file: string, options: Options): Promise<number> {
  const dir = mkdtempSync(join(workFolder, 'first-build-'))
  const silent = { log: () => {}, warn: () => {} }
  return timed(() => compile(file, { ...options, cache: { dir } }, silent))
}
