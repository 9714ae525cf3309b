import ort from 'onnxruntime-node'
import { createModel } from 'unplugin-onnx/runtime'
import { describe, expect, test } from 'vitest'
import { tempFolder } from './helpers.ts'
import { build, missingOpenVino, ocrModel } from './openvino-models.ts'

const missing = missingOpenVino()
const folder = tempFolder()

describe.skipIf(missing)('an OpenVINO engine', () => {
  test.each([
    ['the detector', 'det_infer.onnx', [1, 3, 160, 224]],
    ['the recogniser', 'rec_infer.onnx', [1, 3, 48, 320]],
    ['the classifier', 'cls_infer.onnx', [1, 3, 48, 192]],
  ] as const)('of %s gives the numbers of ONNX Runtime', async (_, ending, dims) => {
    const file = ocrModel(ending)
    const { manifest } = await build(folder, file, { shapes: { x: dims } })
    await using model = createModel(manifest)
    const data = image(dims)
    const outputs = await model.infer({ x: { data, dims } })
    expect(model.variant).toMatchObject({ backend: 'openvino', engine: 'fp32', skipped: [] })
    const session = await ort.InferenceSession.create(file)
    const expected = await session.run({ x: new ort.Tensor('float32', data, dims) })
    for (const [name, { data, dims }] of Object.entries(expected)) {
      expect(outputs[name]?.dims).toEqual(dims)
      expect(largestDifference(outputs[name]?.data as Float32Array, data as Float32Array)).toBeLessThan(1e-4)
    }
  })
})

function image(dims: readonly number[]): Float32Array {
  const size = dims.reduce((product, dim) => product * dim, 1)
  return Float32Array.from({ length: size }, (_, index) => Math.sin(index * 0.37) + Math.cos(index * 0.011))
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((largest, value, index) => Math.max(largest, Math.abs(value - (b[index] ?? NaN))), 0)
}
