import { createModel } from 'unplugin-onnx/runtime'
import { expect, test } from 'vitest'
import { ortManifest } from './engines.ts'
import { tempFolder } from './helpers.ts'

const folder = tempFolder()

test('a model runs without being loaded first, and says which engine it took', async () => {
  const manifest = await ortManifest(folder, 'double', {
    inputs: { x: 'float32[n,2]' },
    outputs: { y: 'float32[n,2]' },
    nodes: [{ op: 'Add', inputs: ['x', 'x'], outputs: ['y'] }],
  })
  await using model = createModel(manifest)
  expect(model.variant).toBeUndefined()
  const { y } = await model.infer({ x: { data: Float32Array.of(1, 2, 3, 4), dims: [2, 2] } })
  expect(y).toEqual({ dtype: 'float32', dims: [2, 2], data: Float32Array.of(2, 4, 6, 8) })
  expect(model.variant).toMatchObject({ backend: 'onnxruntime', engine: 'fp32', skipped: [] })
})
