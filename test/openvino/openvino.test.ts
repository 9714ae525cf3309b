import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import ort from 'onnxruntime-node'
import { createModel } from 'unplugin-onnx/runtime'
import { describe, expect, test } from 'vitest'
import type { ModelManifest, Requirements } from '../../runtime/manifest.ts'
import { testBackend } from '../support/contract.ts'
import { factsOf } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel, identityModel, onnxModel } from '../support/models.ts'
import { build, computesBf16, missingOpenVino, ocrModel } from '../support/openvino-models.ts'
import { npy } from '../support/samples.ts'

const missing = missingOpenVino()
const folder = tempFolder()
const runtime = new URL('../../dist/runtime/index.js', import.meta.url).href

testBackend({
  name: 'OpenVINO',
  async makeManifest(folder, name, spec) {
    const file = join(folder, `${name}.onnx`)
    writeFileSync(file, onnxModel(spec))
    // ONNX Runtime for Node cannot run all of them: its tensors have no bfloat16.
    return (await build(folder, file, { verify: false })).manifest
  },
  dtypes: ['float32', 'float64', 'float16', 'bfloat16', 'uint8', 'int8', 'uint16', 'int16', 'int32', 'bool'],
  // Integers of more than 32 bits have tests of their own below.
  narrowed: ['int64', 'uint64', 'uint32'],
  refused: { string: 'MODEL_UNSUPPORTED' },
  refusedZero: 'MODEL_UNSUPPORTED',
  missing,
})

describe.skipIf(missing)('OpenVINO engine', () => {
  test.each([
    ['the detector', 'det_infer.onnx', [1, 3, 160, 224]],
    ['the recogniser', 'rec_infer.onnx', [1, 3, 48, 320]],
    ['the classifier', 'cls_infer.onnx', [1, 3, 48, 192]],
  ] as const)('an engine of %s gives the numbers of ONNX Runtime', async (_, ending, dims) => {
    const { manifest } = await build(folder, ocrModel(ending), { shapes: { x: dims } })
    await using model = createModel(manifest)
    const data = image(dims)
    const outputs = await model.infer({ x: { data, dims } })
    expect(model.variant).toMatchObject({ backend: 'openvino', engine: 'fp32', skipped: [] })
    const expected = await reference(ocrModel(ending), data, dims)
    expect(outputs[expected.name]?.dims).toEqual(expected.dims)
    expect(largestDifference(outputs[expected.name]?.data, expected.data)).toBeLessThan(1e-4)
  })

  test.skipIf(!computesBf16())('a bf16 engine gives numbers close to fp32', async () => {
    const dims = [1, 3, 48, 320]
    const { manifest } = await build(folder, ocrModel('rec_infer.onnx'), { engine: 'bf16', shapes: { x: dims } })
    await using model = createModel(manifest)
    const data = image(dims)
    const outputs = await model.infer({ x: { data, dims } })
    const expected = await reference(ocrModel('rec_infer.onnx'), data, dims)
    const difference = largestDifference(outputs[expected.name]?.data, expected.data)
    // Were it zero or nearly so, the engine would have computed in fp32 after all.
    expect(difference).toBeGreaterThan(1e-4)
    expect(difference).toBeLessThan(0.1)
  })

  test('int8 weights stay int8, at less than half the size', async () => {
    const dims = [1, 3, 160, 160]
    // In the random inputs of the build's own check is no text: the detector gives probabilities near zero, whose
    // ratios say nothing.
    const small = (
      await build(folder, ocrModel('det_infer.onnx'), { engine: 'int8-weights', shapes: { x: dims }, verify: false })
    ).manifest
    const large = (await build(folder, ocrModel('det_infer.onnx'), { shapes: { x: dims } })).manifest
    expect((small.variants[0]?.size ?? NaN) / (large.variants[0]?.size ?? NaN)).toBeLessThan(0.5)
    await using model = createModel(small)
    const data = image(dims)
    const outputs = await model.infer({ x: { data, dims } })
    const expected = await reference(ocrModel('det_infer.onnx'), data, dims)
    expect(largestDifference(outputs[expected.name]?.data, expected.data)).toBeLessThan(0.05)
  })

  test('a graph quantized with samples gives numbers close to fp32', async () => {
    const dims = [1, 3, 48, 192]
    const samples = tempFolder()
    writeFileSync(join(samples, 'one.npy'), npy(dims, image(dims)))
    const { manifest } = await build(folder, ocrModel('cls_infer.onnx'), {
      engine: 'int8',
      shapes: { x: dims },
      calibration: join(samples, '*.npy'),
      // Such a small net may be slower in int8: here only its numbers count.
      precision: { search: false, whenSlower: 'warn' },
    })
    expect(manifest.variants[0]).toMatchObject({ backend: 'openvino', engine: 'int8' })
    await using model = createModel(manifest)
    const data = image(dims)
    const outputs = await model.infer({ x: { data, dims } })
    const expected = await reference(ocrModel('cls_infer.onnx'), data, dims)
    expect(largestDifference(outputs[expected.name]?.data, expected.data)).toBeLessThan(0.2)
  })

  test('a dynamic dim takes every size, and outputs have the size that follows', async () => {
    await using model = createModel((await build(folder, ocrModel('rec_infer.onnx'))).manifest)
    for (const width of [160, 320, 64, 320]) {
      const dims = [1, 3, 48, width]
      const data = image(dims)
      const outputs = await model.infer({ x: { data, dims } })
      const expected = await reference(ocrModel('rec_infer.onnx'), data, dims)
      expect(outputs[expected.name]?.dims).toEqual(expected.dims)
      expect(largestDifference(outputs[expected.name]?.data, expected.data)).toBeLessThan(1e-4)
    }
  })

  test('an engine with profiles takes their sizes and no others', async () => {
    const file = write('bounded.onnx', affineModel({ dims: 'n,4' }))
    const profiles = [{ min: { x: [1, 4] }, opt: { x: [2, 4] }, max: { x: [3, 4] } }]
    await using model = createModel((await build(folder, file, { profiles })).manifest)
    const { y } = await model.infer({ x: { data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), dims: [2, 4] } })
    expect(y?.data).toEqual(Float32Array.of(3, 5, 7, 9, 11, 13, 15, 17))
    await expect(model.infer({ x: { data: new Float32Array(16), dims: [4, 4] } })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    })
  })

  test('wide integers go in and out unchanged as far as 32 bits hold them', async () => {
    const samples = {
      int64: BigInt64Array.of(-(2n ** 31n), 2n ** 31n - 1n),
      uint64: BigUint64Array.of(0n, 2n ** 31n - 1n),
      uint32: Uint32Array.of(0, 2 ** 31 - 1),
    }
    const kinds = Object.keys(samples) as (keyof typeof samples)[]
    await using model = createModel((await build(folder, write('wide.onnx', identityModel(kinds)))).manifest)
    const outputs = await model.infer(
      Object.fromEntries(kinds.map((dtype) => [`${dtype}_in`, { data: samples[dtype], dims: [1, 2] }])),
    )
    expect(Object.fromEntries(kinds.map((dtype) => [dtype, outputs[`${dtype}_out`]?.data]))).toEqual(samples)
  })

  test.each([
    ['int64', BigInt64Array.of(0n, 2n ** 31n), '2147483648'],
    ['int64', BigInt64Array.of(-(2n ** 40n), 0n), '-1099511627776'],
    ['uint64', BigUint64Array.of(2n ** 63n, 0n), '9223372036854775808'],
    ['uint32', Uint32Array.of(0, 2 ** 32 - 1), '4294967295'],
  ] as const)('%s values of %s that OpenVINO would cut to 32 bits are refused', async (dtype, data, received) => {
    await using model = createModel(
      (await build(folder, write(`identity-${dtype}.onnx`, identityModel([dtype])))).manifest,
    )
    await expect(model.infer({ [`${dtype}_in`]: { data, dims: [1, 2] } })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message:
        `model "identity-${dtype}", input "${dtype}_in": expected values from -2147483648 to ` +
        `2147483647, because OpenVINO computes integers in 32 bits, received ${received}`,
    })
  })

  test('scalars and tensors of any length, 0 included, work with transferred memory and with copies', async () => {
    const file = write(
      'sum.onnx',
      onnxModel({
        inputs: { x: 'float32[n]', s: 'float32[]' },
        outputs: { y: 'float32[n]' },
        nodes: [{ op: 'Add', inputs: ['x', 's'], outputs: ['y'] }],
      }),
    )
    await using model = createModel((await build(folder, file)).manifest)
    for (const transfer of [false, true, true, false, true]) {
      for (const length of [2, 0, 5]) {
        const { y } = await model.infer(
          { x: { data: new Float32Array(length).fill(4), dims: [length] }, s: { data: Float32Array.of(3), dims: [] } },
          { transfer },
        )
        expect(y).toEqual({ dtype: 'float32', dims: [length], data: new Float32Array(length).fill(7) })
      }
    }
  })
})

describe.skipIf(missing)('many calls at once', () => {
  test.each(['latency', 'throughput'] as const)(
    'each caller gets its own result, tuned for %s',
    async (performanceHint) => {
      const file = write('affine.onnx', affineModel({ dims: 'n,4' }))
      await using model = createModel((await build(folder, file, { openvino: { performanceHint } })).manifest)
      const results = await Promise.all(
        Array.from({ length: 64 }, async (_, index) => {
          const data = new Float32Array(4 * (1 + (index % 5))).fill(index)
          const result = model.infer({ x: { data, dims: [data.length / 4, 4] } }, { transfer: index % 3 === 0 })
          // The caller's array is its own again as soon as infer() has returned.
          if (index % 3 > 0) data.fill(NaN)
          return (await result)['y']?.data
        }),
      )
      results.forEach((data, index) =>
        expect(data).toEqual(new Float32Array(4 * (1 + (index % 5))).fill(index * 2 + 1)),
      )
    },
  )

  test('calls of many models at once do not mix', async () => {
    const built = await Promise.all(
      [2, 3, 4, 5, 6].map((weight) => build(folder, write(`weight-${weight}.onnx`, affineModel({ weight })))),
    )
    const models = built.map(({ manifest }) => createModel(manifest))
    const calls = models.flatMap((model, index) =>
      Array.from({ length: 8 }, async (_, value) => {
        const { y } = await model.infer({ x: { data: new Float32Array(4).fill(value), dims: [1, 4] } })
        expect(y?.data).toEqual(new Float32Array(4).fill(value * (index + 2) + 1))
      }),
    )
    await Promise.all(calls)
    await Promise.all(models.map((model) => model.dispose()))
  })

  test('calls in several worker threads work side by side', async () => {
    const { manifest } = await build(folder, write('affine.onnx', affineModel({ dims: 'n,4' })))
    const workers = Array.from({ length: 3 }, () => startWorker(manifest, [1, 4], 20))
    const sums = await Promise.all(workers.map((worker) => lastMessage(worker)))
    expect(sums).toEqual([3 * 4 * 20, 3 * 4 * 20, 3 * 4 * 20])
  })
})

describe.skipIf(missing)('end', () => {
  const dims = [1, 3, 640, 640]
  const detector = () => build(folder, ocrModel('det_infer.onnx'), { shapes: { x: dims } })

  test('an aborted call comes at once, and the engine goes on', async () => {
    await using model = createModel((await detector()).manifest)
    const data = image(dims)
    await model.load()
    for (const wait of [0, 1, 5]) {
      const controller = new AbortController()
      const call = model.infer({ x: { data, dims } }, { signal: controller.signal })
      setTimeout(() => controller.abort(new Error('enough')), wait)
      await expect(call).rejects.toMatchObject({ code: 'ABORTED', cause: new Error('enough') })
    }
    const outputs = await model.infer({ x: { data, dims } })
    expect(Object.values(outputs)[0]?.dims).toEqual([1, 1, 640, 640])
  })

  test('a worker thread that ends in mid-inference or while it loads leaves the process alone', async () => {
    const { manifest } = await detector()
    await using model = createModel(manifest)
    const moments = ['loading', 'running', 'running', 'loading'] as const
    for (const moment of moments) {
      const worker = startWorker(manifest, dims, Infinity)
      await new Promise<void>((resolve, reject) =>
        worker.on('message', (message) => message === moment && resolve()).on('error', reject),
      )
      await worker.terminate()
    }
    const outputs = await model.infer({ x: { data: image(dims), dims } })
    expect(Object.values(outputs)[0]?.dims).toEqual([1, 1, 640, 640])
  })

  test.each([
    ['in mid-inference', 'void model.infer(inputs()); process.exit(0)'],
    ['while it loads', 'void createModel(manifest).load(); process.exit(0)'],
    ['with a model that nobody disposed', 'await model.infer(inputs())'],
    [
      'with a model that the garbage collector took',
      'await createModel(manifest).infer(inputs()); gc(); await new Promise(setImmediate); gc()',
    ],
  ])('a process ends cleanly %s', async (_, code) => {
    const { manifest } = await detector()
    const script = `
      import { createModel } from ${JSON.stringify(runtime)}
      const manifest = ${JSON.stringify(manifest)}
      const inputs = () => ({ x: { data: new Float32Array(3 * 640 * 640), dims: [1, 3, 640, 640] } })
      const model = await createModel(manifest).load()
      ${code}`
    // Rejects for an exit code other than 0, and for a process that hangs.
    const ended = promisify(execFile)(process.execPath, ['--expose-gc', '--input-type=module', '--eval', script], {
      timeout: 30_000,
    })
    await expect(ended).resolves.toMatchObject({ stderr: '' })
  })
})

describe.skipIf(missing)('skipped variant of OpenVINO', () => {
  test.each<[string, Partial<Requirements['openvino']>, string]>([
    ['of another release', { version: '2031.1.0-1' }, 'compiled by OpenVINO 2031.1.0, but '],
    ['for a device that is not here', { device: 'NPU' }, 'NPU'],
    ['for another architecture', { arch: 'riscv64' }, `compiled for riscv64, this machine is ${process.arch}`],
  ])('a variant is skipped with a reason when it is %s', async (_, other, reason) => {
    const { manifest } = await build(folder, write('affine.onnx', affineModel()), {
      backends: ['openvino', 'onnxruntime'],
    })
    const variants = manifest.variants.map((variant) =>
      variant.backend === 'openvino' ? { ...variant, requires: { ...variant.requires, ...other } } : variant,
    )
    await using model = createModel({ ...manifest, variants })
    const { y } = await model.infer({ x: { data: Float32Array.of(1, 2, 3, 4), dims: [1, 4] } })
    expect(y?.data).toEqual(Float32Array.of(3, 5, 7, 9))
    expect(model.variant).toMatchObject({
      backend: 'onnxruntime',
      skipped: [{ backend: 'openvino', reason: expect.stringContaining(reason) }],
    })
    expect(() => createModel({ ...manifest, variants }, { require: 'openvino' })).not.toThrow()
    await expect(createModel({ ...manifest, variants }, { require: 'openvino' }).load()).rejects.toMatchObject({
      code: 'NO_VARIANT',
    })
  })

  test('a blob for another instruction set is skipped', async () => {
    const { manifest } = await build(folder, write('affine.onnx', affineModel()))
    const text = readFileSync(String(manifest.variants[0]?.file), 'latin1')
    const [isa = ''] = /(?<=isa=)[^\0<]+/.exec(text) ?? []
    const file = write('elsewhere.blob', Buffer.from(text.replace(isa, 'Z'.repeat(isa.length)), 'latin1'))
    const variants = manifest.variants.map((variant) => ({ ...variant, file, ...factsOf(file) }))
    await expect(createModel({ ...manifest, variants }).load()).rejects.toMatchObject({
      code: 'NO_VARIANT',
      message: expect.stringMatching(/compiled for machines with Z+, but this one has \w+/),
    })
  })

  test('a file with the right checksum that is no blob is skipped with the message of OpenVINO', async () => {
    const { manifest } = await build(folder, write('affine.onnx', affineModel()))
    for (const bytes of [
      Buffer.from('no blob'),
      readFileSync(String(manifest.variants[0]?.file)).subarray(0, 600),
      Buffer.alloc(0),
    ]) {
      const file = write('damaged.blob', bytes)
      const variants = manifest.variants.map((variant) => ({ ...variant, file, ...factsOf(file) }))
      await expect(createModel({ ...manifest, variants }).load()).rejects.toMatchObject({
        code: 'NO_VARIANT',
        message: expect.stringContaining('OpenVINO cannot import'),
      })
    }
  })
})

describe.skipIf(missing)('build with OpenVINO', () => {
  test('external data on a long path with spaces and umlauts is read', async () => {
    const deep = join(folder, 'ein langer Pfad mit ümlauten '.repeat(6), 'und noch mehr davon '.repeat(6).trim())
    mkdirSync(deep, { recursive: true })
    const weight = { dtype: 'float32', dims: [1], data: [], external: { location: 'weights.bin', length: 4 } } as const
    const file = join(deep, 'external.onnx')
    writeFileSync(
      file,
      onnxModel({
        inputs: { x: 'float32[1,4]' },
        outputs: { y: 'float32[1,4]' },
        nodes: [{ op: 'Mul', inputs: ['x', 'weight'], outputs: ['y'] }],
        initializers: { weight },
      }),
    )
    writeFileSync(join(deep, 'weights.bin'), new Uint8Array(Float32Array.of(3).buffer))
    await using model = createModel((await build(folder, file)).manifest)
    expect((await model.infer({ x: Float32Array.of(1, 2, 3, 4) }))['y']?.data).toEqual(Float32Array.of(3, 6, 9, 12))
  })

  test('an operator that OpenVINO does not know is named', async () => {
    const spec = {
      inputs: { x: 'float32[2]' },
      outputs: { y: 'float32[2]' },
      nodes: [{ op: 'NoSuchThing', inputs: ['x'], outputs: ['y'], name: 'odd' }],
    }
    await expect(build(folder, write('unknown-operator.onnx', onnxModel(spec)))).rejects.toMatchObject({
      code: 'COMPILE_FAILED',
      message: expect.stringMatching(/^unknown-operator: OpenVINO cannot compile the model: .*NoSuchThing/s),
    })
  })

  test('a failed compilation that nobody asked for costs a warning, and ONNX Runtime is left', async () => {
    const spec = {
      inputs: { x: 'float32[2]' },
      outputs: { y: 'float32[2]' },
      nodes: [{ op: 'Gelu', domain: 'com.microsoft', inputs: ['x'], outputs: ['y'] }],
      opsets: { 'com.microsoft': 1 },
    }
    const { manifest, lines } = await build(folder, write('gelu.onnx', onnxModel(spec)), { backends: 'auto' })
    const backends = manifest.variants.map(({ backend }) => backend)
    // OpenVINO may learn the operator: then it has an engine, and no warning.
    expect(lines.some((line) => line.includes('built without openvino'))).toBe(!backends.includes('openvino'))
    expect(backends).toContain('onnxruntime')
  })

  test.each([
    ['a folder without it', () => tempFolder(), 'tried the option openvino.library'],
    ['a file that is no library', () => write('libopenvino_c.so', Buffer.from('no library')), 'cannot be used'],
  ])('a library given as %s is an error that names the place', async (_, place, message) => {
    const file = write('affine.onnx', affineModel())
    await expect(build(folder, file, { openvino: { library: place() } })).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringContaining(message),
    })
  })

  test('an aborted build stops at once, and leaves nothing', async () => {
    const signal = AbortSignal.timeout(150)
    await expect(build(tempFolder(), ocrModel('det_infer.onnx'), {}, { signal })).rejects.toMatchObject({
      code: 'COMPILE_ABORTED',
    })
  })

  test('a second build is a hit with the same bytes', async () => {
    const file = write('again.onnx', affineModel({ weight: 11 }))
    const [first, second] = [await build(folder, file), await build(folder, file)]
    expect(second.compiled.variants[0]?.cache).toMatchObject({ hit: true })
    expect(second.manifest).toEqual(first.manifest)
    const other = await build(tempFolder(), file)
    expect(other.manifest.variants[0]?.sha256).toBe(first.manifest.variants[0]?.sha256)
  })
})

test.skipIf(missing)('a blob that was changed after the build never reaches OpenVINO', async () => {
  const { manifest } = await build(folder, write('affine.onnx', affineModel()))
  const file = join(folder, 'changed.blob')
  copyFileSync(String(manifest.variants[0]?.file), file)
  const bytes = readFileSync(file)
  bytes[300]! ^= 1
  writeFileSync(file, bytes)
  const variants = manifest.variants.map((variant) => ({ ...variant, file }))
  await expect(createModel({ ...manifest, variants }).load()).rejects.toMatchObject({ code: 'ARTIFACT_INVALID' })
})

function write(name: string, bytes: Uint8Array): string {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, name)
  writeFileSync(file, bytes)
  return file
}

function image(dims: readonly number[]): Float32Array {
  const size = dims.reduce((product, dim) => product * dim, 1)
  return Float32Array.from({ length: size }, (_, index) => Math.sin(index * 0.37) + Math.cos(index * 0.011))
}

async function reference(file: string, data: Float32Array, dims: readonly number[]) {
  const session = await ort.InferenceSession.create(file)
  const [entry] = Object.entries(await session.run({ x: new ort.Tensor('float32', data, dims) }))
  await session.release()
  if (!entry) throw new Error(`${file} has no outputs`)
  return { name: entry[0], data: entry[1].data as Float32Array, dims: entry[1].dims }
}

function largestDifference(actual: unknown, expected: Float32Array): number {
  const values = actual as Float32Array
  return expected.reduce((largest, value, index) => Math.max(largest, Math.abs(value - (values[index] ?? NaN))), 0)
}

/** A worker that loads the model, says 'loading' and 'running', infers ones, and posts the sum of all outputs. */
function startWorker(manifest: ModelManifest, dims: readonly number[], times: number): Worker {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { manifest, dims, times, runtime } = workerData
    import(runtime).then(async ({ createModel }) => {
      const model = createModel(manifest)
      const loaded = model.load()
      parentPort.postMessage('loading')
      await loaded
      let sum = 0
      for (let i = 0; i < times; i++) {
        const call = model.infer({ x: { data: new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(1), dims } })
        parentPort.postMessage('running')
        for (const { data } of Object.values(await call)) sum += data.reduce((a, b) => a + b, 0)
      }
      await model.dispose()
      parentPort.postMessage(sum)
    })`
  return new Worker(code, { eval: true, workerData: { manifest, dims, times, runtime } })
}

function lastMessage(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let last: unknown
    worker
      .on('message', (message) => (last = message))
      .once('error', reject)
      .once('exit', () => resolve(last))
  })
}
