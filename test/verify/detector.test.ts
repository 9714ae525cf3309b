import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile, type Options } from 'unplugin-onnx'
import { expect, test } from 'vitest'
import { tempFolder } from '../support/helpers.ts'
import { floats } from '../support/int8-graphs.ts'
import { onnxModel } from '../support/models.ts'

test('a model that chooses its boxes is compared by objects, not by the count of its rows', async () => {
  const folder = tempFolder()
  const file = join(folder, 'detector.onnx')
  // Objects that lie apart, whose scores an engine of lower precision moves across the threshold.
  const grid = Float32Array.from({ length: 100 }, (_, index) => index).reduce<number[]>(
    (all, index) => [...all, index * 2, 0, index * 2 + 1, 1],
    [],
  )
  const model = onnxModel({
    inputs: { x: 'float32[1,64]' },
    outputs: { boxes: 'float32[count,4]', scores: 'float32[count]' },
    nodes: [
      { op: 'MatMul', inputs: ['x', 'w'], outputs: ['raw'] },
      { op: 'Sigmoid', inputs: ['raw'], outputs: ['flat'] },
      { op: 'Reshape', inputs: ['flat', 'shape'], outputs: ['each'] },
      { op: 'NonMaxSuppression', inputs: ['grid', 'each', 'most', 'iou', 'least'], outputs: ['chosen'] },
      { op: 'Gather', inputs: ['chosen', 'two'], outputs: ['which'], attributes: { axis: 1 } },
      { op: 'Reshape', inputs: ['grid', 'rows'], outputs: ['corners'] },
      { op: 'Gather', inputs: ['corners', 'which'], outputs: ['boxes'] },
      { op: 'Reshape', inputs: ['flat', 'all'], outputs: ['line'] },
      { op: 'Gather', inputs: ['line', 'which'], outputs: ['scores'] },
    ],
    initializers: {
      w: floats([64, 100], 1, 0.5),
      grid: { dtype: 'float32', dims: [1, 100, 4], data: grid },
      shape: { dtype: 'int64', dims: [3], data: [1, 1, 100] },
      rows: { dtype: 'int64', dims: [2], data: [100, 4] },
      all: { dtype: 'int64', dims: [1], data: [100] },
      two: { dtype: 'int64', dims: [], data: [2] },
      most: { dtype: 'int64', dims: [], data: [100] },
      iou: { dtype: 'float32', dims: [], data: [0.5] },
      least: { dtype: 'float32', dims: [], data: [0.5] },
    },
  })
  writeFileSync(file, model)
  const cache = { dir: join(folder, 'cache') }
  const options: Options = { root: folder, engine: 'int8-weights', backends: ['onnxruntime'], cache }
  const { variants } = await compile(file, options, { log: () => {}, warn: () => {} })
  const verification = variants[0]!.report!.verification!
  const [boxes, scores] = verification.outputs
  expect(boxes!.objects!.expected).toBeGreaterThan(50)
  expect(boxes!.objects!.matched).toBeGreaterThan(0.9 * boxes!.objects!.expected)
  expect(scores!.objects).toEqual(boxes!.objects)
  expect(verification.failures).toEqual([])
})
