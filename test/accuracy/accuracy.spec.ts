import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Options } from 'unplugin-onnx'
import { expect, test } from 'vitest'
import { measurementsPage } from '../support/docs.ts'
import { tempFolder } from '../support/helpers.ts'
import { missingOpenVino, root } from '../support/openvino-models.ts'
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
const beyond: readonly string[] = []

test('every net is within the limits of its precision, and the page has the figures', async () => {
  const rows: (Figures & { readonly net: string })[] = []
  for (const net of await allNets(folder)) {
    for (const { options, wishes } of comparisonsOf(net)) {
      const figures = await figuresOf(net, { ...options, ...wishes, shapes: net.shapes }, join(folder, 'cache'))
      if (typeof figures === 'string') console.log(`${net.name}: ${options.backends} ${options.engine}: ${figures}`)
      else for (const one of figures) rows.push({ net: net.group ?? net.name, ...one })
      for (const row of typeof figures === 'string' ? [] : figures) console.log(net.name, JSON.stringify(row))
    }
  }
  const worst = worstOfGroups(rows)
  writeFileSync(join(root, 'docs', 'precision-measurements.md'), await measurementsPage(worst))
  const tooFar = worst.filter(({ share }) => share > 1).map(({ net, engine }) => `${net}: ${engine}`)
  expect(tooFar).toEqual(beyond)
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
function worstOfGroups<R extends Figures & { readonly net: string }>(rows: readonly R[]): readonly R[] {
  const worst = new Map<string, R>()
  for (const row of rows) {
    const id = `${row.net} ${row.engine} ${row.inputs}`
    const other = worst.get(id)
    if (!other || row.share > other.share) worst.set(id, row)
  }
  return [...worst.values()]
}
