import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LoadOptions, ModelManifest } from 'unplugin-onnx/runtime'
import { describe, expect, test } from 'vitest'
import { missingNative, ortManifest } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel, type ModelSpec } from '../support/models.ts'
import { build, missingOpenVino } from '../support/openvino-models.ts'

const folder = tempFolder()
const runtime = new URL('../../dist/runtime/index.js', import.meta.url).href

// Set it to a few hundred after a change of the exit.
const rounds = Number(process.env['UNPLUGIN_ONNX_EXITS'] ?? 12)

// Some milliseconds each, so that most exits come in the midst of one.
const products: ModelSpec = {
  inputs: { x: 'float32[n,n]' },
  outputs: { y: 'float32[n,n]' },
  nodes: Array.from({ length: 20 }, (_, step) => ({
    op: 'MatMul',
    inputs: [step === 0 ? 'x' : `x${step}`, 'x'],
    outputs: [step === 19 ? 'y' : `x${step + 1}`],
  })),
}

interface Backend {
  readonly name: string
  readonly missing?: string | undefined
  readonly options?: LoadOptions
  readonly manifest: () => Promise<ModelManifest>
}

const onnxruntime = () => ortManifest(folder, 'products', products)
const backends: readonly Backend[] = [
  {
    name: 'ONNX Runtime, native',
    missing: missingNative,
    options: { session: 'native' },
    manifest: onnxruntime,
  },
  { name: 'ONNX Runtime, in a worker', options: { session: 'worker' }, manifest: onnxruntime },
  {
    name: 'OpenVINO',
    missing: missingOpenVino(),
    async manifest() {
      const file = join(folder, 'products.onnx')
      writeFileSync(file, onnxModel(products))
      return (await build(folder, file)).manifest
    },
  },
]

const endings = [
  ['process.exit()', 7, 'process.exit(7)'],
  ['an uncaught error', 1, `throw new Error('enough')`],
  ['a signal that it handles', 5, `process.once('SIGTERM', () => process.exit(5)); process.kill(process.pid)`],
  ['a worker thread that is terminated', 6, 'await worker.terminate(); process.exit(6)'],
] as const

describe.each(backends)('a process that infers with $name', ({ name, missing, options, manifest }) => {
  // onnxruntime-node ends the process (SIGABRT) when Node.js terminates a thread that is inside it: only native
  // sessions can be ended so.
  const possible = endings.filter(([, , end]) => !name.includes('worker') || !end.includes('worker'))

  test.skipIf(missing).each(possible)(
    'ends by %s at any moment without a crash',
    async (_, code, end) => {
      const script = join(folder, `exit-${code}.mjs`)
      writeFileSync(script, scriptOf(await manifest(), options, end))
      const results = []
      for (let round = 0; round < rounds; round += 2) {
        const both = [round, round + 1].map((number) => endOf(script, [String((number * 37) % 250), end]))
        results.push(...(await Promise.all(both)))
      }
      expect(results).toEqual(results.map(() => ({ code, signal: null })))
    },
    60_000 + rounds * 2000,
  )
})

function scriptOf(manifest: ModelManifest, options: LoadOptions | undefined, end: string): string {
  return `
import { Worker, isMainThread } from 'node:worker_threads'
import { createModel } from ${JSON.stringify(runtime)}

const [, , moment, how] = process.argv
const isParent = isMainThread && how.includes('worker')
const worker = isParent ? new Worker(new URL(import.meta.url), { argv: [moment, how] }) : undefined
if (worker) worker.on('error', (error) => console.error(error))
const model = createModel(${JSON.stringify(manifest)}, ${JSON.stringify(options ?? {})})
if (!worker) for (let caller = 0; caller < 4; caller++) void call()
if (isMainThread) setTimeout(async () => { ${end} }, 100 + Number(moment))

async function call() {
  for (;;) {
    await model.infer({ x: { data: new Float32Array(256 * 256), dims: [256, 256] } })
    // Models come and go, too.
    const other = createModel(${JSON.stringify(manifest)}, ${JSON.stringify(options ?? {})})
    await other.load()
    await other.dispose()
  }
}
`
}

async function endOf(script: string, args: readonly string[]) {
  const child = spawn(process.execPath, [script, ...args], { stdio: 'ignore' })
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  return { code, signal }
}
