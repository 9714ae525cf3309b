import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { inspectText } from '../../plugin/cli/inspect-text.ts'
import type { ModelInspection } from '../../plugin/inspect/contract.ts'
import { costFacts } from '../../plugin/inspect/operator-facts.ts'
import { inputShapes } from '../../plugin/inspect/shapes.ts'
import { loadGraph } from '../../plugin/onnx/graph.ts'
import { plainPaint } from '../../plugin/terminal/table.ts'
import { tempFolder } from '../support/helpers.ts'
import { type ModelSpec, onnxModel } from '../support/models.ts'

const folder = tempFolder()

type Dims = Readonly<Record<string, readonly number[]>>

async function costsOf(spec: ModelSpec, shapes: Dims) {
  const file = join(folder, 'model.onnx')
  writeFileSync(file, onnxModel(spec))
  return costFacts(await loadGraph(file), new Map(Object.entries(shapes)))
}

/** A model of one node; the names are its inputs and its output. */
function one(op: string, inputs: readonly string[], attributes: ModelSpec['nodes'][number]['attributes'] = {}) {
  const values = Object.fromEntries(inputs.map((name) => [name, 'float32']))
  return { inputs: values, outputs: { y: 'float32' }, nodes: [{ op, inputs, outputs: ['y'], attributes }] }
}

describe('multiply-adds', () => {
  test.each<[string, ModelSpec, Dims, number | null]>([
    ['a product of 2x3 and 3x4', one('MatMul', ['a', 'b']), { a: [2, 3], b: [3, 4], y: [2, 4] }, 24],
    ['a product of batches', one('MatMul', ['a', 'b']), { a: [5, 2, 3], b: [3, 4], y: [5, 2, 4] }, 120],
    ['a Gemm of a transposed matrix', one('Gemm', ['a', 'b'], { transA: 1 }), { a: [3, 2], b: [3, 4], y: [2, 4] }, 24],
    ['a convolution', one('Conv', ['x', 'w']), { x: [1, 3, 8, 8], w: [16, 3, 3, 3], y: [1, 16, 6, 6] }, 16 * 36 * 27],
    ['a depthwise one', one('Conv', ['x', 'w'], { group: 4 }), { x: [1, 4, 4], w: [4, 1, 3], y: [1, 4, 2] }, 24],
    ['a transposed one', one('ConvTranspose', ['x', 'w']), { x: [1, 2, 4], w: [2, 5, 3], y: [1, 5, 6] }, 8 * 15],
    ['an LSTM', one('LSTM', ['x', 'w', 'r']), { x: [7, 2, 3], w: [1, 8, 3], r: [1, 8, 2], y: [7, 1, 2, 2] }, 14 * 40],
    ['an Einsum', one('Einsum', ['a', 'b'], { equation: 'ij,jk->ik' }), { a: [2, 3], b: [3, 4], y: [2, 4] }, 24],
    ['a sum', one('Add', ['a', 'b']), { a: [4], b: [4], y: [4] }, 0],
    ['a product without a shape', one('MatMul', ['a', 'b']), { a: [2, 3] }, null],
    ['an attention', one('Attention', ['a', 'b', 'c']), { y: [1] }, null],
  ])('of %s', async (_, spec, shapes, expected) => {
    expect((await costsOf(spec, shapes)).multiplyAdds).toBe(expected)
  })
})

test('the peak of activations is where most values wait for a reader, without weights', async () => {
  const spec: ModelSpec = {
    inputs: { x: 'float32[10]' },
    outputs: { z: 'float32[10]' },
    nodes: [
      { op: 'Mul', inputs: ['x', 'w'], outputs: ['a'] },
      { op: 'Concat', inputs: ['a', 'a', 'a'], outputs: ['wide'] },
      { op: 'Slice', inputs: ['wide', 's', 's'], outputs: ['b'] },
      { op: 'Add', inputs: ['b', 'a'], outputs: ['z'] },
    ],
    initializers: {
      w: { dtype: 'float32', dims: [10], data: Array<number>(10).fill(1) },
      s: { dtype: 'int64', dims: [1], data: [0] },
    },
  }
  const shapes = { x: [10], a: [10], wide: [30], b: [10], z: [10], s: [1], w: [10] }
  // a, wide and b, while Slice runs.
  expect((await costsOf(spec, shapes)).peakActivations).toBe(4 * 50)
  expect((await costsOf(spec, { ...shapes, wide: undefined as never })).peakActivations).toBeNull()
})

test('open dims: the first one is a batch of 1, the others have no guess', () => {
  const inputs = [
    { name: 'x', dtype: 'float32', dims: ['batch', 3, 'h', null] },
    { name: 'm', dtype: 'float32', dims: [null, 'h'] },
    { name: 'k', dtype: 'float32', dims: null },
  ] as const
  expect(inputShapes(inputs, { x: [2, 3, 8, 9], k: [] })).toEqual({
    inputs: { x: [2, 3, 8, 9], m: [1, 8], k: [] },
    assumed: ['m[0]'],
    open: [],
  })
  expect(inputShapes(inputs, {})).toMatchObject({ open: ['x[2] h', 'x[3]', 'm[1] h', 'k of unknown rank'] })
})

test('the text of a hostile model fits its lines and cannot control the terminal', () => {
  const long = `${'\u001B]0;x\u0007'}${'n'.repeat(10e6)}`
  const model: ModelInspection = {
    kind: 'model',
    file: '/m/a.onnx',
    size: 1,
    irVersion: 8,
    opsets: { [long]: 1 },
    producer: long,
    metadata: [{ key: long, value: long }],
    bindings: {
      inputs: [{ name: long, dtype: 'float32', dims: [long, null] }],
      outputs: [{ name: long, problem: 'a sequence' }],
    },
    defaults: [],
    problems: ['\u009B2J'],
    initializers: [],
    external: [],
    weights: { tensors: 0, parameters: 0, bytes: 0, byDType: [] },
    operators: [{ operator: long, domain: long, count: 1, weightBytes: 0 }],
    functions: [long],
    shapes: { inputs: { [long]: [1] }, assumed: [long], open: [] },
    multiplyAdds: null,
    peakActivations: null,
    preflight: [],
  }
  const text = inspectText(model, plainPaint)
  // oxlint-disable-next-line no-control-regex
  expect(text).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F]/)
  expect(text.length).toBeLessThan(3000)
})
