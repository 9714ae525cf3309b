import ort from 'onnxruntime-node'
import { createModel } from 'unplugin-onnx/runtime'
import { describe, expect, test } from 'vitest'
import { loadAddon } from '../../dist/native/index.js'
import type { Options } from '../../dist/plugin/options.js'
import { tempFolder } from '../helpers.ts'
import { build, ocrModel } from '../openvino-models.ts'
import { missingTensorRtRtx } from '../tensorrt-library.ts'

const reason = missingTensorRtRtx() ?? (await noGpu())
if (reason) console.warn(`tests on a GPU are skipped: ${reason}`)
const folder = tempFolder()

// Ampere and newer compute fp32 convolutions in TF32, which has 10 bits of mantissa.
const tolerance = 2e-2

describe.skipIf(reason)('an engine on the GPU', () => {
  const cases: readonly [string, Parameters<typeof ocrModel>[0], readonly number[], Options][] = [
    ['the detector', 'det_infer.onnx', [1, 3, 320, 320], { shapes: { x: [1, 3, 320, 320] } }],
    ['the classifier', 'cls_infer.onnx', [1, 3, 48, 192], { shapes: { x: [1, 3, 48, 192] } }],
    ['the recogniser, by a profile', 'rec_infer.onnx', [1, 3, 48, 480], { profiles: [{ min: { x: [1, 3, 48, 32] }, opt: { x: [1, 3, 48, 320] }, max: { x: [1, 3, 48, 1280] } }] }],
  ]
  test.each(cases)('gives the numbers of ONNX Runtime for %s, with and without CUDA graphs', async (name, ending, dims, options) => {
    const { manifest } = await build(folder, ocrModel(ending), { backends: ['tensorrt-rtx'], ...options })
    const expected = await reference(ocrModel(ending), dims)
    for (const cudaGraph of ['off', 'auto'] as const) {
      await using model = createModel(manifest, { cudaGraph, require: 'tensorrt-rtx' })
      const times: number[] = []
      // Several times: a graph is recorded by the second run and replayed from then on.
      for (let run = 0; run < 20; run++) {
        const started = performance.now()
        const outputs = await model.infer({ x: { data: image(dims), dims } })
        times.push(performance.now() - started)
        const actual = outputs[expected.name]
        expect(actual?.dims).toEqual(expected.dims)
        expect(largestDifference(actual?.data as Float32Array, expected.data)).toBeLessThan(tolerance)
      }
      console.warn(`${name}, cudaGraph ${cudaGraph}: median ${times.sort((a, b) => a - b)[10]?.toFixed(2)} ms`)
    }
  })

  test('ends a call that waits when it is aborted, and goes on', async () => {
    const dims = [1, 3, 320, 320]
    const { manifest } = await build(folder, ocrModel('det_infer.onnx'), { backends: ['tensorrt-rtx'], shapes: { x: dims } })
    await using model = createModel(manifest, { require: 'tensorrt-rtx', workers: 1 })
    await model.load()
    const controller = new AbortController()
    const calls = Array.from({ length: 8 }, () => model.infer({ x: { data: image(dims), dims } }, { signal: controller.signal }))
    controller.abort()
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(model.infer({ x: { data: image(dims), dims } })).resolves.toBeDefined()
  })
})

async function noGpu(): Promise<string | undefined> {
  const loaded = loadAddon('tensorrt_rtx_1_7')
  if ('reason' in loaded) return loaded.reason
  const probe = await loaded.addon.gpus()
  const usable = probe.gpus.some(({ computeCapability }) => ['sm86', 'sm89', 'sm120'].includes(computeCapability))
  return probe.reason || (usable ? undefined : `${probe.gpus.map(({ name }) => name).join(', ')} is no target of TensorRT-RTX`)
}

async function reference(file: string, dims: readonly number[]): Promise<{ name: string; dims: readonly number[]; data: Float32Array }> {
  const session = await ort.InferenceSession.create(file)
  const [entry] = Object.entries(await session.run({ x: new ort.Tensor('float32', image(dims), dims) }))
  await session.release()
  if (!entry) throw new Error(`${file} has no output`)
  return { name: entry[0], dims: entry[1].dims, data: entry[1].data as Float32Array }
}

function image(dims: readonly number[]): Float32Array {
  const size = dims.reduce((product, dim) => product * dim, 1)
  return Float32Array.from({ length: size }, (_, index) => Math.sin(index * 0.37) + Math.cos(index * 0.011))
}

function largestDifference(actual: Float32Array, expected: Float32Array): number {
  return expected.reduce((largest, value, index) => Math.max(largest, Math.abs(value - (actual[index] ?? NaN))), 0)
}
