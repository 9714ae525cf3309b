import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { openStore } from '../../plugin/cache/store.ts'
import { chooseEngines } from '../../plugin/compile/choose-engines.ts'
import { compileGraph } from '../../plugin/compile/compile-graph.ts'
import { bindingsOf } from '../../plugin/compile/engine.ts'
import { readModel } from '../../plugin/onnx/model.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import { formatBytes } from '../../plugin/text.ts'
import { nvidiaPage } from '../support/docs.ts'
import { tempFolder } from '../support/helpers.ts'
import { missingTensorRtRtx } from '../support/tensorrt-library.ts'
import { allNets, type Net } from './packages.ts'

// `npm run test:nets` builds real nets with TensorRT-RTX, with and without the stage that simplifies graphs, and writes
// the table of docs/nvidia.md.

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = tempFolder()
const missing = missingTensorRtRtx()
const nets = missing ? [] : await allNets()
const store = openStore({ ...resolveOptions({ cache: { dir: join(folder, 'cache') } }, root).cache, warn: () => {} })
const rows: string[][] = []

describe.skipIf(missing)('nets that packages ship', () => {
  test.each(nets.map((net) => [net.title, net] as const))('%s builds wherever it built before', async (title, net) => {
    const built: Record<string, Outcome> = {}
    for (const engine of ['fp32', 'fp16'] as const) {
      built[`${engine} before`] = await build(net, engine, false)
      built[`${engine} now`] = await build(net, engine, true)
    }
    const reasons = ['fp32 now', 'fp16 now'].flatMap((key) => ('reason' in built[key]! ? [built[key].reason] : []))
    rows.push([title, net.what, ...Object.values(built).map(cell), reasons[0] ?? ''])
    const lost = ['fp32', 'fp16'].filter(
      (engine) => 'bytes' in built[`${engine} before`]! && !('bytes' in built[`${engine} now`]!),
    )
    expect(lost).toEqual([])
  })

  afterAll(async () => {
    writeFileSync(join(root, 'docs', 'nvidia.md'), await nvidiaPage(rows))
  })
})

type Outcome = { readonly bytes: number; readonly seconds: number } | { readonly reason: string }

async function build({ file, shapes, title }: Net, engine: 'fp32' | 'fp16', simplified: boolean): Promise<Outcome> {
  const resolved = resolveOptions({ backends: ['tensorrt-rtx'], targets: ['sm89'], engine, shapes }, root)
  const options = compileOptions(resolved, { file, query: {} })
  const model = await readModel(file)
  const selected = { model, passes: [] }
  const output = join(folder, 'build', 'engine')
  mkdirSync(join(folder, 'build'), { recursive: true })
  const started = performance.now()
  try {
    const [planned] = (
      await chooseEngines({ file, open: selected, fixed: selected }, options, { root, target: 'node' })
    ).engines
    const { lowering, label } = planned!.plan
    const simplify = simplified ? bindingsOf(model, options) : undefined
    const silent = { log: () => {}, warn: () => {} }
    const context = { name: title, model, options, root, store, backend: 'tensorrt-rtx', ...silent } as const
    const request = { ...context, label, lowering, simplify }
    await compileGraph(
      { planned: planned!, request, bindings: undefined, title, importKey: title, verbose: false, context: {} },
      output,
    )
    return { bytes: statSync(output).size, seconds: (performance.now() - started) / 1000 }
  } catch (error) {
    return { reason: sentence((error as Error).message) }
  }
}

function cell(outcome: Outcome): string {
  return 'reason' in outcome ? 'no' : `${outcome.seconds.toFixed(1)} s, ${formatBytes(outcome.bytes)}`
}

/** The first line of what was said, without the path of the net and without hints. */
function sentence(message: string): string {
  const said = message
    .replace(/^\/.*?\.onnx: /, '')
    .replace(/^.*?cannot build the model for \w+: (?:the ONNX parser reports: )?/s, '')
  const [first = ''] = said.split('\n')
  return first.replace(/\. If the model must stay.*$/, '').replaceAll('|', '/')
}
