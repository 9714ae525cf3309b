import { copyFileSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createModel, type LoadOptions, type ModelManifest, type OnnxEngineError } from 'unplugin-onnx/runtime'
import { beforeAll, describe, expect, test } from 'vitest'
import { double, factsOf, missingNative, ortManifest, pair } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'
import type { ModelSpec } from '../support/models.ts'

const folder = tempFolder()
const native: LoadOptions = { session: 'native' }

let manifest: ModelManifest
beforeAll(async () => {
  manifest = await ortManifest(folder, 'double', double)
})

let models = 0
const open = async (spec: ModelSpec, options: LoadOptions = native) =>
  createModel(await ortManifest(folder, `native${models++}`, spec), options)

const products = (steps: number): ModelSpec => ({
  inputs: { x: 'float32[n,n]' },
  outputs: { y: 'float32[n,n]' },
  nodes: Array.from({ length: steps }, (_, step) => ({
    op: 'MatMul',
    inputs: [step === 0 ? 'x' : `x${step}`, 'x'],
    outputs: [step === steps - 1 ? 'y' : `x${step + 1}`],
  })),
})

const square = (size: number) => ({ data: new Float32Array(size * size), dims: [size, size] })

describe.skipIf(missingNative)('a native session of ONNX Runtime', () => {
  test('is what a machine with an addon gets, and the variant says so', async () => {
    await using model = createModel(manifest)
    await model.load()
    expect(model.variant).toEqual({ backend: 'onnxruntime', engine: 'fp32', session: 'native', skipped: [] })
    await using other = createModel(manifest, { session: 'worker' })
    await other.load()
    expect(other.variant?.session).toBe('worker')
  })

  test('carries strings with NUL characters', async () => {
    await using model = await open({
      inputs: { x: 'string[n]' },
      outputs: { y: 'string[n]' },
      nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
    })
    const data = ['a\0b', '\0', '', 'größer', '🙂']
    expect((await model.infer({ x: { data, dims: [5] } }))['y']?.data).toEqual(data)
    expect(model.inferSync?.({ x: { data, dims: [5] } })['y']?.data).toEqual(data)
  })

  test.each([0, 1, 2, 3, 4, 5, 6, 7, 8])('carries tensors of rank %i, and of size zero', async (rank) => {
    const dims = Array.from({ length: rank }, (_, axis) => `d${axis}`).join()
    await using model = await open({
      inputs: { x: `int16[${dims}]` },
      outputs: { y: `int16[${dims}]` },
      nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
    })
    for (const last of [2, 0, 3]) {
      const given = Array.from({ length: rank }, (_, axis) => (axis === rank - 1 ? last : 1))
      const data = Int16Array.from({ length: rank === 0 ? 1 : last }, (_, index) => index - 1)
      expect((await model.infer({ x: { data, dims: given } }))['y']).toEqual({ dtype: 'int16', dims: given, data })
    }
  })

  test('writes outputs of known dims in place, and gives others of any size', async () => {
    await using model = await open({
      inputs: { x: 'float32[n,2]', shape: 'int64[2]' },
      // The last one is declared wrong, as some exporters do.
      outputs: { known: 'float32[n,2]', any: 'float32[?,?]', wrong: 'float32[n,1]' },
      nodes: [
        { op: 'Identity', inputs: ['x'], outputs: ['known'] },
        { op: 'Reshape', inputs: ['x', 'shape'], outputs: ['any'] },
        { op: 'Identity', inputs: ['any'], outputs: ['wrong'] },
      ],
    })
    const data = Float32Array.of(1, 2, 3, 4)
    for (const [rows, columns] of [
      [4, 1],
      [4, 1],
      [1, 4],
      [2, 2],
    ] as const) {
      const call = { x: { data, dims: [2, 2] }, shape: BigInt64Array.of(BigInt(rows), BigInt(columns)) }
      const { known, any, wrong } = await model.infer(call)
      expect(known).toEqual({ dtype: 'float32', dims: [2, 2], data })
      for (const output of [any, wrong]) expect(output).toEqual({ dtype: 'float32', dims: [rows, columns], data })
    }
  })

  test('runs an output that once had the declared dims, and then has others', async () => {
    await using model = await open({
      inputs: { x: 'float32[n]', shape: 'int64[1]' },
      outputs: { y: 'float32[n]' },
      nodes: [{ op: 'Expand', inputs: ['x', 'shape'], outputs: ['y'] }],
    })
    const x = { data: Float32Array.of(5), dims: [1] }
    const lengths = []
    for (const length of [1, 1, 3, 1, 2])
      lengths.push((await model.infer({ x, shape: BigInt64Array.of(BigInt(length)) }))['y']?.data.length)
    expect(lengths).toEqual([1, 1, 3, 1, 2])
  })

  test('runs as many calls at once as it has workers, on one copy of the engine', async () => {
    await using model = await open(products(20), { ...native, workers: 3, threads: 1 })
    const input = { x: square(64) }
    const results = await Promise.all(Array.from({ length: 30 }, () => model.infer(input)))
    expect(results.map(({ y }) => y?.dims)).toEqual(results.map(() => [64, 64]))
  })

  test('gives each of many short calls in a row its own numbers or error, and timers their turn', async () => {
    await using model = await open({
      inputs: { x: 'float32[n]', shape: 'int64[1]' },
      outputs: { y: 'float32[?]' },
      nodes: [{ op: 'Reshape', inputs: ['x', 'shape'], outputs: ['y'] }],
    })
    let timers = 0
    const timer = setInterval(() => timers++, 1)
    const results: unknown[] = []
    for (let index = 0; index < 3000; index++) {
      // Every seventh call fails.
      const shape = BigInt64Array.of(index % 7 === 0 ? 3n : 2n)
      const call = { x: { data: Float32Array.of(index, -index), dims: [2] }, shape }
      const { signal } = new AbortController()
      const outputs = model.infer(call, index % 2 === 0 ? { signal } : {})
      results.push(
        await outputs.then(
          ({ y }) => Array.from(y?.data as Float32Array),
          (error: OnnxEngineError) => error.code,
        ),
      )
    }
    clearInterval(timer)
    expect(results).toEqual(results.map((_, index) => (index % 7 === 0 ? 'INFERENCE_FAILED' : [index, 0 - index])))
    // A call takes 10 us at least.
    expect(timers).toBeGreaterThan(3)
  })

  test('lets another model run while one has many calls waiting', async () => {
    await using flooded = await open(products(20))
    await using other = await open(double)
    await Promise.all([flooded.load(), other.load()])
    const order: string[] = []
    const flood = Array.from({ length: 200 }, (_, index) =>
      flooded.infer({ x: square(96) }).then(() => order.push(`flood ${index}`)),
    )
    await other.infer({ x: pair }).then(() => order.push('other'))
    await Promise.all(flood)
    expect(order.indexOf('other')).toBeLessThan(20)
  })

  test('refuses 2 to the 40 elements and goes on', async () => {
    await using model = await open({
      inputs: { shape: 'int64[2]' },
      outputs: { y: 'float32[?,?]' },
      nodes: [{ op: 'ConstantOfShape', inputs: ['shape'], outputs: ['y'] }],
    })
    await expect(model.infer({ shape: BigInt64Array.of(2n ** 20n, 2n ** 20n) })).rejects.toMatchObject({
      code: 'INFERENCE_FAILED',
      message: expect.stringMatching(/alloc|memory/i),
    })
    expect((await model.infer({ shape: BigInt64Array.of(2n, 1n) }))['y']?.data).toEqual(new Float32Array(2))
  })
})

describe.skipIf(missingNative)('inferSync', () => {
  test('gives the same outputs at once, and leaves the inputs alone', async () => {
    const model = createModel(manifest, native)
    expect(model.inferSync).toBeUndefined()
    await model.load()
    for (let call = 0; call < 3; call++)
      expect(model.inferSync?.({ x: pair })).toEqual({
        y: { dtype: 'float32', dims: [1, 2], data: Float32Array.of(2, 4) },
      })
    const shared = new Float32Array(new SharedArrayBuffer(8))
    shared.set([3, 4])
    expect(model.inferSync?.({ x: { data: shared, dims: [1, 2] } })['y']?.data).toEqual(Float32Array.of(6, 8))
    expect(pair.data).toEqual(Float32Array.of(1, 2))
    const { inferSync } = model
    await model.dispose()
    expect(model.inferSync).toBeUndefined()
    expect(() => inferSync?.({ x: pair })).toThrow(expect.objectContaining({ code: 'DISPOSED' }))
  })

  test('throws what infer() would reject with', async () => {
    await using model = await createModel(manifest, native).load()
    expect(() => model.inferSync?.({})).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }))
    await using reshape = await (
      await open({
        inputs: { x: 'float32[n]', shape: 'int64[1]' },
        outputs: { y: 'float32[?]' },
        nodes: [{ op: 'Reshape', inputs: ['x', 'shape'], outputs: ['y'], name: 'fold' }],
      })
    ).load()
    const wrong = { x: { data: Float32Array.of(1), dims: [1] }, shape: BigInt64Array.of(7n) }
    expect(() => reshape.inferSync?.(wrong)).toThrow(
      expect.objectContaining({ code: 'INFERENCE_FAILED', message: expect.stringContaining('fold') }),
    )
  })

  test('runs while calls of infer() are in flight', async () => {
    await using model = await (await open(products(20))).load()
    const running = [1, 2, 3].map(() => model.infer({ x: square(64) }))
    expect(model.inferSync?.({ x: square(2) })['y']?.dims).toEqual([2, 2])
    await Promise.all(running)
  })

  test('is undefined for a session in a worker', async () => {
    await using model = await createModel(manifest, { session: 'worker' }).load()
    expect(model.inferSync).toBeUndefined()
  })
})

describe.skipIf(missingNative)('an abort', () => {
  test('stops a run of seconds that has begun', async () => {
    await using model = await open(products(2000), { ...native, workers: 1 })
    await model.load()
    // The rest of its life in full: 2000 products of 512x512 take more than 10 seconds of this processor.
    const before = process.cpuUsage()
    const call = model.infer({ x: square(512) }, { signal: AbortSignal.timeout(30) })
    await expect(call).rejects.toMatchObject({ code: 'ABORTED', cause: { name: 'TimeoutError' } })
    // The next call has the thread as soon as the aborted run has left it.
    await model.infer({ x: square(1) })
    const { user } = process.cpuUsage(before)
    expect(user).toBeLessThan(5_000_000)
  })
})

/** A copy of the engine of `double`, to change. */
function copyEngine(name: string): { file: string; manifest: ModelManifest } {
  const [variant] = manifest.variants
  const file = join(folder, name)
  copyFileSync(variant?.file as string, file)
  return { file, manifest: { ...manifest, variants: [{ ...variant, file }] } as ModelManifest }
}

describe.skipIf(missingNative)('an engine file', () => {
  test('that is truncated, overwritten or replaced while it is loaded changes nothing', async () => {
    const { file, manifest } = copyEngine('changed.ort')
    await using model = await createModel(manifest, native).load()
    const bytes = readFileSync(file)
    const changes = [
      () => truncateSync(file, 10),
      () => writeFileSync(file, Buffer.alloc(bytes.length, 7)),
      () => {
        writeFileSync(`${file}.new`, 'new')
        renameSync(`${file}.new`, file)
      },
    ]
    for (const change of changes) {
      change()
      expect((await model.infer({ x: pair }))['y']?.data).toEqual(Float32Array.of(2, 4))
    }
  })

  test('that ONNX Runtime refuses is an error with its text', async () => {
    const { file, manifest } = copyEngine('refused.ort')
    const bytes = Buffer.concat([readFileSync(file).subarray(0, 8), Buffer.alloc(100)])
    writeFileSync(file, bytes)
    const variants = manifest.variants.map((variant) => ({ ...variant, ...factsOf(file) }))
    await expect(createModel({ ...manifest, variants }, native).load()).rejects.toMatchObject({
      code: 'INFERENCE_FAILED',
      message: expect.stringMatching(/ONNX Runtime could not open .*refused\.ort: .*(ORT|verif|load|invalid)/i),
    })
  })
})
