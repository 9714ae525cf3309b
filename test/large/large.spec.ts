import { execFileSync } from 'node:child_process'
import { closeSync, openSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { compile, writeModel, type Options } from 'unplugin-onnx'
import { describe, expect, test } from 'vitest'
import { missingNative } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel } from '../support/models.ts'
import { missingOpenVino } from '../support/openvino-models.ts'

// Two tables of 1.2 GB: each is below the 2 GiB of a tensor, both together are above those of a file.
const rows = 4_700_000
const columns = 64
const tables = ['first', 'second'] as const
const folder = tempFolder()
const openvino = missingOpenVino()

/** y = first[ids] - second[ids], where row i of the tables is i % 1000 and twice that. */
function writeLargeModel(file: string): void {
  const length = rows * columns * 4
  const weights = openSync(`${file}.weights`, 'w')
  const step = 100_000
  for (const factor of [1, 2]) {
    for (let start = 0; start < rows; start += step) {
      const piece = new Float32Array(step * columns)
      for (let row = 0; row < step; row++)
        piece.fill(((start + row) % 1000) * factor, row * columns, (row + 1) * columns)
      writeSync(weights, new Uint8Array(piece.buffer))
    }
  }
  closeSync(weights)
  const location = 'model.onnx.weights'
  const table = (index: number) =>
    ({
      dtype: 'float32',
      dims: [rows, columns],
      data: [],
      external: { location, offset: index * length, length },
    }) as const
  writeFileSync(
    file,
    onnxModel({
      inputs: { ids: 'int64[2]' },
      outputs: { y: `float32[2,${columns}]` },
      nodes: [
        { op: 'Gather', inputs: ['first', 'ids'], outputs: ['a'] },
        { op: 'Gather', inputs: ['second', 'ids'], outputs: ['b'] },
        { op: 'Sub', inputs: ['a', 'b'], outputs: ['y'] },
      ],
      initializers: Object.fromEntries(tables.map((name, index) => [name, table(index)])),
    }),
  )
}

const file = join(folder, 'model.onnx')
writeLargeModel(file)

/** Runs an engine in a process of its own, so that its memory can be told. */
function runIn(session: 'native' | 'worker', manifest: string): { readonly y: number[]; readonly peak: number } {
  const runtime = new URL('../../dist/runtime/index.js', import.meta.url).href
  const code = `
const { loadModel } = await import(${JSON.stringify(runtime)})
const model = await loadModel(${JSON.stringify(manifest)}, { session: '${session}' })
const { y } = await model.infer({ ids: BigInt64Array.of(3n, ${rows - 1}n) })
console.log(JSON.stringify({ y: [y.data[0], y.data[${columns}]], peak: process.resourceUsage().maxRSS * 1024 }))
await model.dispose()`
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' })) as never
}

async function build(options: Options): Promise<{ readonly manifest: string; readonly lines: readonly string[] }> {
  const lines: string[] = []
  const log = (line: string) => void lines.push(line)
  const cache = { dir: join(folder, 'cache') }
  const compiled = await compile(file, { root: folder, cache, verify: false, ...options }, { log, warn: log })
  return { manifest: await writeModel(compiled, join(folder, options.engine ?? 'fp32')), lines }
}

describe('a model with 2.4 GB of weights', () => {
  let manifest: string

  test('compiles with ONNX Runtime to one engine', async () => {
    const built = await build({ backends: ['onnxruntime'] })
    manifest = built.manifest
    const { variants } = (await import(manifest, { with: { type: 'json' } })) as unknown as {
      variants: { file: string; size: number }[]
    }
    expect(variants).toHaveLength(1)
    expect(statSync(join(folder, 'fp32', variants[0]?.file ?? '')).size).toBeGreaterThan(2 ** 31)
    expect(built.lines).toContainEqual(expect.stringMatching(/model +fp32 +onnxruntime +miss: new +2\.4 GB/))
    const again = await build({ backends: ['onnxruntime'] })
    expect(again.lines).toEqual([expect.stringMatching(/ hit /)])
  })

  test.skipIf(missingNative).each(['native', 'worker'] as const)('runs in a %s session', (session) => {
    const { y, peak } = runIn(session, manifest)
    expect(y).toEqual([-3, -999])
    console.log(`${session}: ${(peak / 1e9).toFixed(1)} GB at most`)
    // The engine, the copy that ONNX Runtime makes of its weights, and one of the tables while it makes it.
    expect(peak).toBeLessThan(6.5e9)
  })

  test.each(['fp16', 'int8-weights'] as const)('runs as %s', async (engine) => {
    const built = await build({ backends: ['onnxruntime'], engine })
    const { y } = runIn('native', built.manifest)
    // Halves hold integers up to 2048, 8 bits of up to 2000 are 16 apart.
    expect(Math.abs((y[1] ?? 0) + 999)).toBeLessThan(engine === 'fp16' ? 1 : 20)
  })

  test.skipIf(openvino)('compiles and runs with OpenVINO', async () => {
    const built = await build({ backends: ['openvino'] })
    expect(runIn('native', built.manifest).y).toEqual([-3, -999])
  })
})
