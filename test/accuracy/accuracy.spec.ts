import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Options } from 'unplugin-onnx'
import { afterAll, expect, test } from 'vitest'
import { measurementsPage } from '../support/docs.ts'
import { tempFolder } from '../support/helpers.ts'
import { missingOpenVino, root } from '../support/openvino-models.ts'
import { vendorFolder } from '../support/python.ts'
import { type Figures, figuresOf } from './figures.ts'
import { allNets, type Net } from './nets.ts'

process.env['TENSORRT_RTX_ROOT'] ??= join(root, '.vendor', 'tensorrt-rtx-1.7.1.116')
missingOpenVino()
const folder = tempFolder()

type Engine = Options & { readonly engine: NonNullable<Options['engine']> }

/** Every engine whose numbers can be measured without a GPU; those of TensorRT-RTX are emulated. */
const engines: readonly Engine[] = [
  ...(['fp32', 'fp16', 'bf16', 'int8-weights', 'int8'] as const).map(
    (engine) => ({ engine, backends: ['onnxruntime'] }) as const,
  ),
  ...(['fp32', 'bf16', 'int8-weights', 'int8'] as const).map((engine) => ({ engine, backends: ['openvino'] }) as const),
  ...(['fp16', 'bf16'] as const).map((engine) => ({ engine, backends: ['tensorrt-rtx'], targets: ['sm86'] }) as const),
]

/** Engines that lose more than the limits allow, which is what a build says of them. */
const beyond: readonly string[] = [
  'OCR detector: onnxruntime int8, 4 samples',
  'OCR detector: onnxruntime int8 portable, 4 samples',
  'OCR recogniser: onnxruntime int8, 4 samples',
  'OCR recogniser: onnxruntime int8 portable, 4 samples',
  'OCR recogniser: openvino int8, 4 samples',
  // All its weights are one number, so that its softmax sees a thousand huge and equal numbers: their last digits,
  // which depend on the order of sums, decide.
  'light_squeezenet: openvino fp32, random inputs',
  'light_squeezenet: openvino bf16, random inputs',
  'light_squeezenet: openvino int8-weights, random inputs',
]

type Row = Figures & { readonly net: string }

/** What was measured is kept, so that a run of one net (`-t`) has the figures of the others for the page. */
const keptIn = join(vendorFolder, 'accuracy')
mkdirSync(keptIn, { recursive: true })
const fileOf = ({ name }: Net) => join(keptIn, `${name.replaceAll(' ', '-')}.json`)
const nets = await allNets(folder)

test.each(nets)('$name is within the limits of every precision', async (net) => {
  const rows: Row[] = []
  for (const { options, wishes } of comparisonsOf(net)) {
    const figures = await figuresOf(net, { ...options, ...wishes, shapes: net.shapes }, join(folder, 'cache'))
    if (typeof figures === 'string') console.log(`${net.name}: ${options.backends} ${options.engine}: ${figures}`)
    else for (const one of figures) rows.push({ net: net.group ?? net.name, ...one })
  }
  writeFileSync(fileOf(net), JSON.stringify(rows))
  const tooFar = rows.filter(({ share }) => share > 1).map(({ engine, inputs }) => `${net.name}: ${engine}, ${inputs}`)
  expect(tooFar).toEqual(beyond.filter((text) => text.startsWith(net.name)))
})

afterAll(async () => {
  const measured = nets.map(fileOf).filter((file) => existsSync(file))
  const rows = measured.flatMap((file) => JSON.parse(readFileSync(file, 'utf8')) as Row[])
  writeFileSync(join(root, 'docs', 'precision-measurements.md'), await measurementsPage(worstOfGroups(rows)))
})

interface Wanted {
  readonly options: Engine
  readonly wishes: Options
}

/** On samples and on random inputs. int8 needs samples, and shows nothing where all weights are the same. */
function comparisonsOf({ calibration, samples, group }: Net): readonly Wanted[] {
  return engines.flatMap((options): Wanted[] => {
    const isInt8 = options.engine === 'int8'
    if (group !== undefined && (isInt8 || options.targets)) return []
    if (isInt8) return [{ options, wishes: { calibration, verify: { samples: samples ?? calibration } } }]
    return [...(samples ? [{ options, wishes: { verify: { samples } } }] : []), { options, wishes: {} }]
  })
}

/** One row for each net or group, engine and kind of inputs: of a group, the net that is nearest to a limit. */
function worstOfGroups(rows: readonly Row[]): readonly Row[] {
  const worst = new Map<string, Row>()
  for (const row of rows) {
    const id = `${row.net} ${row.engine} ${row.inputs}`
    const other = worst.get(id)
    if (!other || row.share > other.share) worst.set(id, row)
  }
  return [...worst.values()]
}
