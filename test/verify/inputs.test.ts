import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadGraph } from '../../plugin/onnx/graph.ts'
import { type AcceptedInputs, acceptedInputs } from '../../plugin/verify/accepted-inputs.ts'
import { inputRanges } from '../../plugin/verify/input-ranges.ts'
import { probabilities } from '../../plugin/verify/probabilities.ts'
import { draws, randomDims, randomSample } from '../../plugin/verify/random-inputs.ts'
import type { Bindings } from '../../runtime/manifest.ts'
import { tempFolder } from '../support/helpers.ts'
import { type NodeSpec, onnxModel, scalar, type TensorSpec } from '../support/models.ts'

const folder = tempFolder()

const table: TensorSpec = { dtype: 'float32', dims: [40, 4], data: Array.from({ length: 160 }, () => 1) }
const node = (op: string, inputs: string[], outputs = ['y'], attributes = {}): NodeSpec => ({
  op,
  inputs,
  outputs,
  attributes,
})

describe('outputs that are probabilities', () => {
  test.each([
    { how: 'of a Sigmoid', nodes: [node('Sigmoid', ['x'])], expected: ['y'] },
    {
      how: 'of a Softmax behind a Reshape and a Cast',
      nodes: [
        node('Softmax', ['x'], ['s']),
        node('Reshape', ['s', 'axes'], ['r']),
        node('Cast', ['r'], ['y'], { to: 1 }),
      ],
      expected: ['y'],
    },
    {
      how: 'not of a Sigmoid that is scaled',
      nodes: [node('Sigmoid', ['x'], ['s']), node('Add', ['s', 's'])],
      expected: [],
    },
    { how: 'not an input', nodes: [node('Identity', ['x'])], expected: [] },
  ])('$how', async ({ nodes, expected }) => {
    const file = join(folder, 'probabilities.onnx')
    const initializers = { axes: { dtype: 'int64', dims: [1], data: [-1] } } as const
    writeFileSync(file, onnxModel({ inputs: { x: 'float32[4]' }, outputs: { y: 'float32[4]' }, nodes, initializers }))
    expect([...probabilities(await loadGraph(file))]).toEqual(expected)
  })
})

describe('ranges of inputs', () => {
  test.each([
    {
      reader: 'rows of a Gather',
      input: 'int64[3]',
      nodes: [node('Gather', ['table', 'x'])],
      expected: { kind: 'index', min: 0, max: 39, reader: 'Gather' },
    },
    {
      reader: 'columns of a Gather',
      input: 'int64[3]',
      nodes: [node('Gather', ['table', 'x'], ['y'], { axis: 1 })],
      expected: { kind: 'index', min: 0, max: 3, reader: 'Gather' },
    },
    {
      reader: 'rows of a Gather, behind a Cast and an Unsqueeze',
      input: 'int32[3]',
      nodes: [
        node('Cast', ['x'], ['c'], { to: 7 }),
        node('Unsqueeze', ['c', 'axes'], ['u']),
        node('Gather', ['table', 'u']),
      ],
      expected: { kind: 'index', min: 0, max: 39, reader: 'Gather' },
    },
    {
      reader: 'positions of a RotaryEmbedding',
      input: 'int64[1,3]',
      nodes: [node('RotaryEmbedding', ['table', 'table', 'table', 'x'])],
      expected: { kind: 'index', min: 0, max: 39, reader: 'RotaryEmbedding' },
    },
    {
      reader: 'the k of a TopK',
      input: 'int64[1]',
      nodes: [node('TopK', ['table', 'x'], ['y', 'i'])],
      expected: { kind: 'index', min: 2, max: 3, reader: 'TopK' },
    },
    {
      reader: 'classes of a OneHot',
      input: 'int64[3]',
      nodes: [node('OneHot', ['x', 'depth', 'values'])],
      expected: { kind: 'index', min: 0, max: 6, reader: 'OneHot' },
    },
    {
      reader: 'a shape',
      input: 'int64[2]',
      nodes: [node('ConstantOfShape', ['x'])],
      expected: { kind: 'index', min: 1, max: 4, reader: 'ConstantOfShape' },
    },
    {
      reader: 'a shape, behind arithmetic',
      input: 'int64[2]',
      nodes: [node('Add', ['x', 'x'], ['a']), node('Expand', ['table', 'a'])],
      expected: { kind: 'guarded' },
    },
    {
      reader: 'the shape of a Reshape, which holds any number of elements',
      input: 'int64[2]',
      nodes: [node('Reshape', ['table', 'x'])],
      expected: {
        kind: 'lists',
        lists: [
          [-1, 1],
          [1, -1],
        ],
      },
    },
    {
      reader: 'the scales of a Resize',
      input: 'float32[2]',
      nodes: [node('Resize', ['table', '', 'x'])],
      expected: {
        kind: 'lists',
        lists: [
          [0.6, 0.6],
          [1.5, 1.5],
          [2, 2],
          [0.5, 0.5],
        ],
      },
    },
    {
      reader: 'the sizes of a Resize, which leaves batches and channels alone',
      input: 'int64[4]',
      nodes: [node('Resize', ['image', '', '', 'x'])],
      expected: {
        kind: 'lists',
        lists: [
          [1, 3, 5, 5],
          [1, 3, 12, 12],
          [1, 3, 16, 16],
          [1, 3, 4, 4],
        ],
      },
    },
    {
      reader: 'the axis of a DFT, which is neither the batch nor the pair of numbers',
      input: 'int64[]',
      nodes: [node('DFT', ['image', '', 'x'])],
      expected: { kind: 'index', min: 1, max: 2, reader: 'DFT' },
    },
    {
      reader: 'numbers to sort',
      input: 'float32[9]',
      nodes: [node('TopK', ['x', 'axes'], ['y', 'i'])],
      expected: { kind: 'tied' },
    },
    {
      reader: 'numbers to divide',
      input: 'int64[2]',
      nodes: [node('Mod', ['x', 'depth'])],
      expected: { kind: 'divided' },
    },
    {
      reader: 'bytes of an image',
      input: 'float32[1,3,8,8]',
      nodes: [node('Div', ['x', 'bytes'])],
      expected: { kind: 'image' },
    },
    {
      reader: 'arithmetic alone',
      input: 'int64[2]',
      nodes: [node('Mul', ['x', 'x'])],
      expected: { kind: 'free' },
    },
  ])('an input that gives $reader is drawn as $expected', async ({ input, nodes, expected }) => {
    const file = join(folder, 'ranges.onnx')
    const initializers = {
      table,
      axes: { dtype: 'int64', dims: [1], data: [0] },
      depth: { dtype: 'int64', dims: [], data: [7] },
      values: { dtype: 'float32', dims: [2], data: [0, 1] },
      bytes: scalar(255),
      image: { dtype: 'float32', dims: [1, 3, 8, 8], data: Array.from({ length: 192 }, () => 1) },
    } as const
    writeFileSync(file, onnxModel({ inputs: { x: input }, outputs: { y: 'float32[?]' }, nodes, initializers }))
    expect(inputRanges(await loadGraph(file)).get('x')).toEqual(expected)
  })

  test('an input whose name says mask holds zeros and ones, mostly ones', async () => {
    const file = join(folder, 'mask.onnx')
    const nodes = [node('Mul', ['attention_mask', 'attention_mask'])]
    writeFileSync(file, onnxModel({ inputs: { attention_mask: 'int64[64]' }, outputs: { y: 'int64[64]' }, nodes }))
    expect(inputRanges(await loadGraph(file)).get('attention_mask')).toEqual({ kind: 'mask' })
  })
})

const valuesOf = (dtype: string, range: object, draw: (typeof draws)[number]): number[] => {
  const binding = { name: 'x', dtype, dims: [4096] } as Bindings['inputs'][number]
  const limits = { values: {}, ranges: new Map([['x', range as never]]) }
  const sample = randomSample([binding], randomDims([binding], {}, { first: 1, others: 1 })!, limits, {
    draw,
    seed: 1,
  })
  return Array.from(sample.get('x')!.data as unknown as ArrayLike<number | bigint>, Number)
}

describe('random values', () => {
  const [unit, masked, small, large] = draws

  test.each([
    { values: 'floats of the first draw', dtype: 'float32', range: { kind: 'free' }, draw: unit, least: -1, most: 1 },
    { values: 'small floats', dtype: 'float32', range: { kind: 'free' }, draw: small!, least: -1 / 64, most: 1 / 64 },
    { values: 'large floats', dtype: 'float32', range: { kind: 'free' }, draw: large!, least: -8, most: 8 },
    { values: 'bytes of an image', dtype: 'float32', range: { kind: 'image' }, draw: unit, least: 0, most: 255 },
    { values: 'uint8', dtype: 'uint8', range: { kind: 'free' }, draw: unit, least: 0, most: 255 },
    { values: 'int8', dtype: 'int8', range: { kind: 'free' }, draw: unit, least: -128, most: 127 },
    { values: 'integers of the first draw', dtype: 'int64', range: { kind: 'free' }, draw: unit, least: 0, most: 1 },
    { values: 'numbers to sort', dtype: 'float32', range: { kind: 'tied' }, draw: unit, least: 0, most: 0.75 },
    { values: 'integers to sort', dtype: 'int64', range: { kind: 'tied' }, draw: large!, least: 0, most: 3 },
    {
      values: 'numbers to divide',
      dtype: 'int64',
      range: { kind: 'divided' },
      draw: small!,
      least: -(2 ** 30),
      most: 2 ** 30 - 1,
    },
    { values: 'bools', dtype: 'bool', range: { kind: 'free' }, draw: masked!, least: 0, most: 1 },
    {
      values: 'rows of a table',
      dtype: 'int64',
      range: { kind: 'index', min: 3, max: 39, reader: 'Gather' },
      draw: large!,
      least: 3,
      most: 39,
    },
    {
      values: 'int64 of the last draw',
      dtype: 'int64',
      range: { kind: 'free' },
      draw: large!,
      least: -(2 ** 39),
      most: 2 ** 39,
    },
  ])('$values reach from about $least to about $most, and no further', ({ dtype, range, draw, least, most }) => {
    const values = valuesOf(dtype, range, draw)
    const reach = most - least
    expect(Math.min(...values)).toBeGreaterThanOrEqual(least)
    expect(Math.max(...values)).toBeLessThanOrEqual(most)
    expect(Math.max(...values) - Math.min(...values)).toBeGreaterThan(0.9 * reach)
  })

  test('a mask of the second draw is mostly on, and off somewhere', () => {
    const values = valuesOf('int64', { kind: 'mask' }, masked!)
    const ones = values.filter((value) => value === 1).length / values.length
    expect(ones).toBeGreaterThan(0.85)
    expect(ones).toBeLessThan(0.95)
  })
})

const refuseOdd = (sample: ReadonlyMap<string, { dims: readonly number[] }>) =>
  sample.get('x')!.dims[1]! % 8 === 0 ? Promise.resolve() : Promise.reject(new Error('not a multiple of 8'))

describe('inputs that the model accepts', () => {
  const bindings = {
    inputs: [{ name: 'x', dtype: 'float32', dims: ['n', 'length'] }],
    outputs: [],
  } as unknown as Bindings
  const knowledge = { bindings, known: { dims: {}, values: {} }, ranges: new Map() }

  test('a model with open dims is tried with one and two in a batch, and with an odd length', async () => {
    const found = await acceptedInputs(knowledge, () => Promise.resolve())
    const dims = (found as AcceptedInputs).samples.map((sample) => sample.get('x')!.dims)
    expect(dims).toEqual([
      [1, 64],
      [1, 64],
      [1, 64],
      [1, 64],
      [2, 64],
      [1, 33],
    ])
  })

  test('dims that the model refuses are left out, and the report does not claim them', async () => {
    const found = await acceptedInputs(knowledge, refuseOdd as never)
    expect(found).toMatchObject({ tried: expect.not.arrayContaining([expect.stringContaining('33')]) })
    expect(found).toHaveProperty('samples.length', 5)
  })

  test('a model that refuses everything is not verified, with its last words as the reason', async () => {
    const found = await acceptedInputs(knowledge, () => Promise.reject(new Error('no such dims')))
    expect(found).toBe('the fp32 model does not run on random inputs: no such dims')
  })

  test('bounds of a profile are tried as well', async () => {
    const known = { dims: { x: [2, 16] }, bounds: [{ x: [1, 8] }, { x: [4, 32] }], values: {} }
    const found = await acceptedInputs({ ...knowledge, known }, () => Promise.resolve())
    expect(found).toMatchObject({
      tried: expect.arrayContaining([expect.stringContaining('x [1, 8]'), expect.stringContaining('x [4, 32]')]),
    })
  })
})
