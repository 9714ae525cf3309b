import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ort from 'onnxruntime-node'
import { median } from '../../plugin/measure/numbers.ts'
import { parseNpy } from '../../plugin/samples/npy.ts'
import { cosine } from '../support/samples.ts'
import { runNode } from './measure.ts'
import { classifier, detector, recogniser, workFolder, type BenchModel } from './models.ts'
import { writeSamples } from './ocr-samples.ts'
import { runPython } from './python.ts'
import type { Row } from './row.ts'

const peer = 'quantize_static'
const child = fileURLToPath(new URL('./int8-child.js', import.meta.url))
const count = 32

/**
 * int8 of the OCR models, compared with ONNX Runtime's own quantizer, which Python users have: time, accuracy on other
 * images, and models that it breaks.
 */
export async function int8Bench(): Promise<readonly Row[]> {
  const nets = [
    ['detector', detector, 'page'],
    ['recogniser', recogniser, 'line'],
    ['classifier', classifier, 'line'],
  ] as const
  const rows: Row[] = []
  const broken: string[] = []
  for (const [name, model, kind] of nets) {
    const seen = join(workFolder, `int8-${name}`)
    const unseen = join(workFolder, `int8-${name}-other`)
    await writeSamples(seen, model, { kind, count, seed: 1 })
    await writeSamples(unseen, model, { kind, count: 12, seed: 2 })
    if (name === 'detector') rows.push(...(await timeRows(model, seen)))
    const expected = await outputs(model.file, model, unseen)
    const ours = join(workFolder, `${name}-ours.onnx`)
    await quantize(model, ours, { samples: seen, cache: `accuracy-${name}` })
    const distance = async (file: string) => 1 - cosine(expected, await outputs(file, model, unseen))
    let best = Infinity
    for (const [settings, samples] of trials) {
      const file = join(workFolder, `${name}-${settings}.onnx`)
      const { result: problem } = await runPython<string | null>('quantize.py', [
        settings,
        model.file,
        file,
        seen,
        String(samples),
      ])
      const theirs = problem === null ? await distance(file).catch((error: Error) => error.message) : problem
      if (typeof theirs === 'number') best = Math.min(best, theirs)
      else broken.push(`${name}, ${settings}: ${theirs.slice(0, 160)}`)
    }
    rows.push({
      name: `int8 of the ${name}: 1 - cosine on other images`,
      beside: `the best of ${peer}`,
      ours: await distance(ours),
      peer: best,
      unit: '',
      aim: { of: 'ratio', atMost: 1 },
    })
  }
  for (const line of broken) console.log(`${peer} breaks the ${line}`)
  return rows
}

// Settings and number of samples: the percentile method keeps all values of all samples in memory, 0.7 GB for each
// image of the detector.
const trials = [
  ['default', count],
  ['pre-channels', count],
  ['opset-pre-channels-u8', count],
  ['opset-pre-channels', count],
  ['opset-pre-channels-u8-percentile', 4],
] as const

async function timeRows(model: BenchModel, samples: string): Promise<Row[]> {
  const name = `calibration and quantization of the detector, ${count} images`
  const times = { minmax: [] as number[], best: [] as number[], theirs: [] as number[] }
  for (let round = 0; round < 2; round++) {
    const to = join(workFolder, 'time-ours.onnx')
    times.minmax.push(await quantize(model, to, { samples, cache: `minmax-${round}`, method: 'minmax' }))
    times.best.push(await quantize(model, to, { samples, cache: `best-${round}` }))
    times.theirs.push(
      (
        await runPython('quantize.py', [
          'default',
          model.file,
          join(workFolder, 'time-theirs.onnx'),
          samples,
          String(count),
        ])
      ).milliseconds,
    )
  }
  const shared = {
    beside: `${peer}, by minmax`,
    peer: median(times.theirs),
    unit: 'ms',
    aim: { of: 'ratio', atMost: 0.667 },
  } as const
  return [
    { name: `${name}, by minmax`, ours: median(times.minmax), ...shared },
    { name: `${name}, by the best method`, ours: median(times.best), ...shared },
  ]
}

interface Quantization {
  /** Folders: of the .npy files, and of a cache in the work folder. */
  readonly samples: string
  readonly cache: string
  readonly method?: string
}

async function quantize(model: BenchModel, to: string, { samples, cache, method }: Quantization): Promise<number> {
  const { milliseconds } = await runNode(child, [
    model.file,
    to,
    join(samples, '*.npy'),
    join(workFolder, 'cache', cache),
    ...(method ? [method] : []),
  ])
  return milliseconds
}

async function outputs(file: string, { input }: BenchModel, folder: string): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 4 })
  const results: Float32Array[] = []
  for (const name of readdirSync(folder).sort()) {
    const { data, dims } = parseNpy(readFileSync(join(folder, name)))
    const output = await session.run({ [input]: new ort.Tensor('float32', data as Float32Array, dims) })
    results.push(output[session.outputNames[0]!]!.data as Float32Array)
  }
  await session.release()
  const all = new Float32Array(results.reduce((sum, { length }) => sum + length, 0))
  let offset = 0
  for (const result of results) {
    all.set(result, offset)
    offset += result.length
  }
  return all
}
