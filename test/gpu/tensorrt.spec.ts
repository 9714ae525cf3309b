import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import ort from 'onnxruntime-node'
import { createModel, type Model, type ModelManifest } from 'unplugin-onnx/runtime'
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import type { Options } from '../../plugin/options/types.ts'
import { findTensorRt } from '../../runtime/tensorrt/library.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel } from '../support/models.ts'
import { build, ocrModel, root } from '../support/openvino-models.ts'
import { npy } from '../support/samples.ts'
import { missingTensorRtRtx } from '../support/tensorrt-library.ts'
import { type Figure, reportTable, writeReport } from './figures.ts'
import { firstGpu, program } from './machine.ts'
import { trtexecLatency } from './trtexec.ts'

const folder = tempFolder()
const gpu = await firstGpu()
const rtxTargets = new Set(['sm75', 'sm80', 'sm86', 'sm89', 'sm120', 'sm121'])
const backends = [
  { backend: 'tensorrt-rtx', reason: missingTensorRtRtx() ?? noRtx() },
  { backend: 'tensorrt', reason: 'reason' in gpu ? gpu.reason : noTensorRt() },
] as const
for (const { backend, reason } of backends) {
  if (reason) console.warn(`tests of ${backend} on a GPU are skipped: ${reason}`)
}

const figures: Figure[] = []
afterAll(() => {
  if ('reason' in gpu || figures.length === 0) return
  const report = { gpu, figures }
  const file = join(root, 'build', 'gpu.json')
  writeReport(file, report)
  console.warn(`${reportTable(report)}\nWritten to ${file}.`)
})

// Ampere and newer compute fp32 convolutions in TF32, which has 10 bits of mantissa.
const tolerance = 2e-2
const det = [1, 3, 320, 320]

describe.each(backends)('an engine of $backend on the GPU', ({ backend, reason }) => {
  const compile = async (file: string, options: Options): Promise<ModelManifest> => {
    const targets = backend === 'tensorrt-rtx' && !('reason' in gpu) ? { targets: [gpu.computeCapability] } : {}
    return (await build(folder, file, { backends: [backend], ...targets, ...options })).manifest
  }
  const detector = () => compile(ocrModel('det_infer.onnx'), { shapes: { x: det } })
  const open = (manifest: ModelManifest, options: Parameters<typeof createModel>[1] = {}): Model =>
    createModel(manifest, { require: backend, ...options })

  const cases: readonly [string, Parameters<typeof ocrModel>[0], readonly number[], Options][] = [
    ['the detector', 'det_infer.onnx', det, { shapes: { x: det } }],
    ['the classifier', 'cls_infer.onnx', [1, 3, 48, 192], { shapes: { x: [1, 3, 48, 192] } }],
    [
      'the recogniser, by a profile',
      'rec_infer.onnx',
      [1, 3, 48, 480],
      { profiles: [{ min: { x: [1, 3, 48, 32] }, opt: { x: [1, 3, 48, 320] }, max: { x: [1, 3, 48, 1280] } }] },
    ],
  ]
  test.skipIf(reason).each(cases)(
    'gives the numbers of ONNX Runtime for %s, with and without CUDA graphs',
    async (name, ending, dims, options) => {
      const manifest = await compile(ocrModel(ending), options)
      const expected = await reference(ocrModel(ending), dims)
      for (const cudaGraph of ['off', 'auto'] as const) {
        await using model = open(manifest, { cudaGraph })
        const times: number[] = []
        // Several times: a graph is captured by the second run and replayed from then on.
        for (let run = 0; run < 20; run++) {
          const started = performance.now()
          const outputs = await model.infer({ x: { data: image(dims), dims } })
          times.push(performance.now() - started)
          const actual = outputs[expected.name]
          expect(actual?.dims).toEqual(expected.dims)
          expect(largestDifference(actual?.data as Float32Array, expected.data)).toBeLessThan(tolerance)
        }
        note(manifest, { what: `${name}, cudaGraph ${cudaGraph}`, value: median(times), unit: 'ms' })
      }
    },
  )

  test.skipIf(reason).each([
    ['fp16', 0.999],
    ['bf16', 0.99],
    ['int8-weights', 0.99],
    ['int8', 0.97],
  ] as const)('gives close numbers in %s', async (engine, least) => {
    const sample = join(folder, 'sample.npy')
    writeFileSync(sample, npy(det, image(det)))
    const calibration = engine === 'int8' ? { calibration: sample } : {}
    const manifest = await compile(ocrModel('det_infer.onnx'), { engine, shapes: { x: det }, ...calibration })
    const expected = await reference(ocrModel('det_infer.onnx'), det)
    await using model = open(manifest)
    const outputs = await model.infer({ x: { data: image(det), dims: det } })
    const similarity = cosine(outputs[expected.name]?.data as Float32Array, expected.data)
    note(manifest, { what: `the detector, ${engine}, beside fp32 on the CPU`, value: similarity, unit: 'cosine' })
    expect(similarity).toBeGreaterThan(least)
  })

  test.skipIf(reason !== undefined || backend === 'tensorrt-rtx')(
    'of a version-compatible plan gives the numbers of ONNX Runtime',
    async () => {
      const manifest = await compile(ocrModel('cls_infer.onnx'), {
        shapes: { x: [1, 3, 48, 192] },
        tensorrt: { versionCompatible: true },
      })
      const expected = await reference(ocrModel('cls_infer.onnx'), [1, 3, 48, 192])
      await using model = open(manifest)
      const outputs = await model.infer({ x: { data: image([1, 3, 48, 192]), dims: [1, 3, 48, 192] } })
      expect(largestDifference(outputs[expected.name]?.data as Float32Array, expected.data)).toBeLessThan(tolerance)
    },
  )

  test.skipIf(reason)('reads shape tensors, and captures anew when their values change', async () => {
    const file = join(folder, 'expand.onnx')
    writeFileSync(
      file,
      onnxModel({
        inputs: { x: 'float32[1,4]', shape: 'int64[2]' },
        outputs: { y: 'float32[?,?]' },
        nodes: [{ op: 'Expand', inputs: ['x', 'shape'], outputs: ['y'] }],
      }),
    )
    const manifest = await compile(file, {
      profiles: [{ min: {}, opt: {}, max: {}, values: { shape: { min: [1, 4], opt: [8, 4], max: [16, 4] } } }],
    })
    await using model = open(manifest)
    for (const rows of [1, 3, 3, 3, 16, 2, 2]) {
      const { y } = await model.infer({
        x: { data: Float32Array.of(1, 2, 3, 4), dims: [1, 4] },
        shape: BigInt64Array.of(BigInt(rows), 4n),
      })
      expect(y?.dims).toEqual([rows, 4])
      expect(Array.from(y?.data as Float32Array)).toEqual(Array.from({ length: rows }, () => [1, 2, 3, 4]).flat())
    }
    await expect(
      model.infer({ x: { data: Float32Array.of(1, 2, 3, 4), dims: [1, 4] }, shape: BigInt64Array.of(17n, 4n) }),
    ).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  })

  // TensorRT-RTX builds no operator whose output only the run sizes.
  test.skipIf(reason !== undefined || backend === 'tensorrt-rtx')(
    'gives outputs whose size only the run tells',
    async () => {
      const file = join(folder, 'nonzero.onnx')
      writeFileSync(
        file,
        onnxModel({
          inputs: { x: 'float32[64]' },
          outputs: { y: 'int64[1,?]' },
          nodes: [{ op: 'NonZero', inputs: ['x'], outputs: ['y'] }],
        }),
      )
      await using model = open(await compile(file, {}))
      for (const places of [[3, 5], [], [0, 1, 2, 63]]) {
        const data = new Float32Array(64)
        for (const place of places) data[place] = 1
        expect(Array.from((await model.infer({ x: data }))['y']?.data as BigInt64Array, Number)).toEqual(places)
      }
    },
  )

  test.skipIf(reason)('gives each of many callers its own numbers', async () => {
    const dims = [1, 3, 48, 192]
    await using model = open(await compile(ocrModel('cls_infer.onnx'), { shapes: { x: dims } }))
    const run = async (seed: number) =>
      Array.from(Object.values(await model.infer({ x: { data: image(dims, seed), dims } }))[0]?.data as Float32Array)
    const alone: number[][] = []
    for (let seed = 0; seed < 16; seed++) alone.push(await run(seed))
    const together = await Promise.all(alone.map((_, seed) => run(seed)))
    for (const [seed, values] of together.entries())
      expect(largestDifference(Float32Array.from(values), Float32Array.from(alone[seed] ?? []))).toBeLessThan(1e-3)
  })

  test.skipIf(reason)('ends a call that waits when it is aborted, and goes on', async () => {
    await using model = open(await detector(), { workers: 1 })
    await model.load()
    const controller = new AbortController()
    const calls = Array.from({ length: 8 }, () =>
      model.infer({ x: { data: image(det), dims: det } }, { signal: controller.signal }),
    )
    controller.abort()
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(model.infer({ x: { data: image(det), dims: det } })).resolves.toBeDefined()
  })

  test.skipIf(reason)('finishes what is in flight before it is disposed of', async () => {
    const model = open(await detector())
    const calls = Array.from({ length: 8 }, () => model.infer({ x: { data: image(det), dims: det } }))
    await model.dispose()
    await expect(Promise.all(calls)).resolves.toHaveLength(8)
    await expect(model.infer({ x: { data: image(det), dims: det } })).rejects.toMatchObject({ code: 'DISPOSED' })
  })

  test.skipIf(reason)('survives a worker that is terminated in the middle of its inferences', async () => {
    const manifest = await detector()
    const worker = new Worker(new URL('./busy-worker.mjs', import.meta.url), {
      workerData: { manifest, backend, dims: det },
    })
    await once(worker, 'message')
    await worker.terminate()
    await using model = open(manifest)
    await expect(model.infer({ x: { data: image(det), dims: det } })).resolves.toBeDefined()
  })

  test.skipIf(reason)('names a GPU that is not there', async () => {
    await expect(open(await detector(), { device: 99 }).load()).rejects.toMatchObject({
      code: 'NO_VARIANT',
      message: expect.stringContaining('there is no GPU 99'),
    })
  })

  afterEach(() => {
    vi.unstubAllEnvs()
  })
  test.skipIf(reason !== undefined || backend === 'tensorrt')(
    'keeps the kernels that were compiled for the GPU, and loads with them',
    async () => {
      const cache = join(folder, 'kernels')
      vi.stubEnv('XDG_CACHE_HOME', cache)
      vi.stubEnv('LOCALAPPDATA', cache)
      const manifest = await detector()
      const times: number[] = []
      for (let start = 0; start < 2; start++) {
        await using model = open(manifest)
        const started = performance.now()
        await model.infer({ x: { data: image(det), dims: det } })
        times.push(performance.now() - started)
      }
      expect(readdirSync(join(cache, 'unplugin-onnx', 'runtime-cache-tensorrt-rtx'))).toHaveLength(1)
      const [cold = NaN, warm = NaN] = times
      const beside = { 'without the kernels of an earlier start': cold }
      note(manifest, { what: 'load and first inference of the detector', value: warm, unit: 'ms', beside })
    },
  )

  test.skipIf(reason).each([
    ['off', '0'],
    ['auto', '1'],
  ] as const)('adds little to the same engine driven from C++, cudaGraph %s', async (cudaGraph, graph) => {
    const manifest = await detector()
    const library = findTensorRt(backend)
    if ('reason' in library) throw new Error(library.reason)
    const loop = await program(`tensorrt_${familyOf(manifest)}_plain_loop`)
    const plain = Number(
      execFileSync(loop, [library.file, String(manifest.variants[0]?.file), graph, '300', ...det.map(String)], {
        encoding: 'utf8',
      }),
    )
    await using model = open(manifest, { cudaGraph })
    const times: number[] = []
    for (let run = 0; run < 300; run++) {
      const data = image(det)
      const started = performance.now()
      await model.infer({ x: { data, dims: det } })
      times.push(performance.now() - started)
    }
    const [variant] = manifest.variants
    const isPlan = variant?.backend === 'tensorrt'
    const trtexec = isPlan
      ? await trtexecLatency({
          plan: String(variant.file),
          version: variant.requires.version,
          cudaGraph: cudaGraph === 'auto',
        })
      : undefined
    note(manifest, {
      what: `a call of the detector, cudaGraph ${cudaGraph}`,
      value: median(times),
      unit: 'ms',
      beside: { 'the same plan from C++': plain, ...(trtexec !== undefined && { trtexec }) },
    })
    expect(plain).toBeGreaterThan(0)
    expect(median(times)).toBeLessThan(plain * 1.5 + 1)
  })
})

function note({ variants }: ModelManifest, figure: Omit<Figure, 'library'>): void {
  const [variant] = variants
  const version = variant?.backend === 'tensorrt' || variant?.backend === 'tensorrt-rtx' ? variant.requires.version : ''
  figures.push({ ...figure, library: `${variant?.backend} ${version}` })
}

function noRtx(): string | undefined {
  if ('reason' in gpu) return gpu.reason
  return rtxTargets.has(gpu.computeCapability)
    ? undefined
    : `${gpu.name} (${gpu.computeCapability}) is no target of TensorRT-RTX`
}

function noTensorRt(): string | undefined {
  const found = findTensorRt('tensorrt')
  return 'reason' in found ? found.reason : undefined
}

async function reference(
  file: string,
  dims: readonly number[],
): Promise<{ name: string; dims: readonly number[]; data: Float32Array }> {
  const session = await ort.InferenceSession.create(file)
  const [entry] = Object.entries(await session.run({ x: new ort.Tensor('float32', image(dims), dims) }))
  await session.release()
  if (!entry) throw new Error(`${file} has no output`)
  return { name: entry[0], dims: entry[1].dims, data: entry[1].data as Float32Array }
}

/** Which of the C++ programs is for the library that built an engine. */
function familyOf({ variants }: ModelManifest): 'rtx' | '10' | '11' {
  const [variant] = variants
  if (variant?.backend !== 'tensorrt') return 'rtx'
  return variant.requires.version.startsWith('10.') ? '10' : '11'
}

function image(dims: readonly number[], seed = 0): Float32Array {
  const size = dims.reduce((product, dim) => product * dim, 1)
  return Float32Array.from({ length: size }, (_, index) => Math.sin(index * 0.37 + seed) + Math.cos(index * 0.011))
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN
}

function largestDifference(actual: Float32Array, expected: Float32Array): number {
  return expected.reduce((largest, value, index) => Math.max(largest, Math.abs(value - (actual[index] ?? NaN))), 0)
}

function cosine(a: Float32Array, b: Float32Array): number {
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? NaN), 0)
}
