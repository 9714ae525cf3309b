import ort from 'onnxruntime-node'
import { expect, test } from 'vitest'
import { affineModel, identityModel } from './models.ts'

test('the models of the tests run in ONNX Runtime', async () => {
  const session = await ort.InferenceSession.create(affineModel())
  const { y } = await session.run({ x: new ort.Tensor('float32', [1, 2, 3, 4], [1, 4]) })
  expect([...(y?.data ?? [])]).toEqual([3, 5, 7, 9])
  const { inputNames } = await ort.InferenceSession.create(identityModel(['float32', 'int64', 'string']))
  expect(inputNames).toEqual(['float32_in', 'int64_in', 'string_in'])
})
