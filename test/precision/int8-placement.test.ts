import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createModel } from 'unplugin-onnx/runtime'
import { beforeEach, describe, expect, test } from 'vitest'
import { loadGraph, scopesOf } from '../../plugin/onnx/graph.ts'
import { type Placement, placements } from '../../plugin/precision/int8/backend-rules.ts'
import { placeQuantization, type Places } from '../../plugin/precision/int8/place.ts'
import { checkModels } from '../corpus/index.ts'
import { tempFolder } from '../support/helpers.ts'
import { dequantized, floats, lowerToInt8, runOnce, writeSamples } from '../support/int8-graphs.ts'
import { type GraphSpec, onnxModel, type ModelSpec, type NodeSpec, type TensorSpec } from '../support/models.ts'
import { build, missingOpenVino, ocrModel } from '../support/openvino-models.ts'
import { orSkip } from '../support/python.ts'
import { cosine, normal } from '../support/samples.ts'
import { missingTensorRtRtx } from '../support/tensorrt-library.ts'

let folder: string
beforeEach(() => {
  folder = tempFolder()
})

const small = 'K or N below 16 wastes most of a tensor core tile'
const narrow = 'fewer than 16 channels waste most of a tensor core tile'
const row = 'each sample has one row for it: a product with a vector is bound by memory'
const attention =
  'multiplies two values, as attention does: fused attention takes any length in fp16, but at most 512 in int8'

const [plain, wide] = [{ kernel_shape: [1, 1] }, { kernel_shape: [3, 3] }]

// Each node reads h, which a Relu makes of the input, or the input itself.
test.each<[title: string, node: Omit<NodeSpec, 'outputs'>, weights: readonly number[], reason: string | undefined]>([
  ['a product of 64 by 64', { op: 'MatMul', inputs: ['h', 'w'] }, [64, 64], undefined],
  ['a product with K of 8', { op: 'MatMul', inputs: ['h', 'w'] }, [8, 64], small],
  ['a Gemm with N of 10', { op: 'Gemm', inputs: ['h', 'w'], attributes: { transB: 1 } }, [10, 64], small],
  [
    'a product with a vector as weights',
    { op: 'MatMul', inputs: ['h', 'w'] },
    [64, 1],
    'a product with a vector is bound by memory',
  ],
  ['a product whose samples have one row', { op: 'Gemm', inputs: ['one', 'w'] }, [64, 64], row],
  ['a product of two values', { op: 'MatMul', inputs: ['h', 'x'] }, [64, 64], attention],
  [
    'a convolution whose weights are a value',
    { op: 'Conv', inputs: ['h', 'x'] },
    [64, 64],
    'its weights are not constant float32 of the usual rank',
  ],
  [
    'a convolution of 16 by 16 channels',
    { op: 'Conv', inputs: ['h', 'w'], attributes: plain },
    [16, 16, 1, 1],
    undefined,
  ],
  [
    'a convolution whose samples have one row',
    { op: 'Conv', inputs: ['one', 'w'], attributes: plain },
    [16, 16, 1, 1],
    undefined,
  ],
  ['a convolution of 3 to 32 channels', { op: 'Conv', inputs: ['h', 'w'], attributes: wide }, [32, 3, 3, 3], undefined],
  ['a convolution of 3 to 8 channels', { op: 'Conv', inputs: ['h', 'w'], attributes: wide }, [8, 3, 3, 3], narrow],
  [
    'the first convolution, of 3 to 8 channels',
    { op: 'Conv', inputs: ['x', 'w'], attributes: wide },
    [8, 3, 3, 3],
    undefined,
  ],
  [
    'the first convolution, of 3 to 10 channels',
    { op: 'Conv', inputs: ['x', 'w'], attributes: wide },
    [10, 3, 3, 3],
    narrow,
  ],
  [
    'a convolution of 3 to 32 channels, 3 by 1',
    { op: 'Conv', inputs: ['h', 'w'], attributes: { kernel_shape: [3, 1] } },
    [32, 3, 3, 1],
    narrow,
  ],
  [
    'a depthwise convolution of 3 by 3',
    { op: 'Conv', inputs: ['h', 'w'], attributes: { ...wide, group: 32 } },
    [32, 1, 3, 3],
    undefined,
  ],
  [
    'a depthwise convolution of 5 by 1',
    { op: 'Conv', inputs: ['h', 'w'], attributes: { kernel_shape: [5, 1], group: 32 } },
    [32, 1, 5, 1],
    narrow,
  ],
  [
    'a depthwise convolution of 20 channels',
    { op: 'Conv', inputs: ['h', 'w'], attributes: { ...wide, group: 20 } },
    [20, 1, 3, 3],
    narrow,
  ],
  [
    'groups of 8 channels, 1 by 1',
    { op: 'Conv', inputs: ['h', 'w'], attributes: { ...plain, group: 8 } },
    [64, 8, 1, 1],
    narrow,
  ],
  [
    'groups of 16 channels, 1 by 1',
    { op: 'Conv', inputs: ['h', 'w'], attributes: { ...plain, group: 4 } },
    [64, 16, 1, 1],
    undefined,
  ],
  [
    'a ConvTranspose of 24 to 1 channels',
    { op: 'ConvTranspose', inputs: ['h', 'w'], attributes: { kernel_shape: [2, 2] } },
    [24, 1, 2, 2],
    undefined,
  ],
  [
    'a ConvTranspose of 12 to 1 channels',
    { op: 'ConvTranspose', inputs: ['h', 'w'], attributes: { kernel_shape: [2, 2] } },
    [12, 1, 2, 2],
    narrow,
  ],
])('%s is quantized for TensorRT only when its kernels gain from it', async (_, node, dims, reason) => {
  const nodes = [
    { op: 'Relu', inputs: ['x'], outputs: ['h'] },
    { op: 'Neg', inputs: ['h'], outputs: ['one'] },
    { ...node, outputs: ['y'] },
  ]
  const { weighted, kept } = await place(
    { inputs: { x: 'float32' }, outputs: { y: 'float32' }, nodes, initializers: { w: floats(dims, 1) } },
    placements.tensorrt,
  )
  expect(kept.map((one) => one.reason)).toEqual(reason === undefined ? [] : [reason])
  expect(weighted).toHaveLength(reason === undefined ? 1 : 0)
})

const weights: Record<string, TensorSpec> = { w: floats([16, 16, 1, 1], 1), w2: floats([16, 16], 2) }
const conv = (input: string, output: string): NodeSpec => ({ op: 'Conv', inputs: [input, 'w'], outputs: [output] })
const relu = (input: string, output: string): NodeSpec => ({ op: 'Relu', inputs: [input], outputs: [output] })
const concat = (inputs: readonly string[], output: string): NodeSpec => ({
  op: 'Concat',
  inputs,
  outputs: [output],
  attributes: { axis: 1 },
})
const add = (...inputs: string[]): NodeSpec => ({ op: 'Add', name: 'add', inputs, outputs: ['sum'] })

describe('int8 placement at a residual Add', () => {
  test.each<[title: string, nodes: readonly NodeSpec[], quantized: readonly string[]]>([
    ['behind a convolution, the shortcut', [conv('x', 'a'), add('a', 'x')], ['x']],
    ['of two convolutions, the shorter branch', [conv('x', 'a'), conv('x', 'b'), conv('b', 'c'), add('a', 'c')], ['a']],
    ['behind a Relu of a convolution, the shortcut', [conv('x', 'a'), relu('a', 'b'), add('x', 'b')], ['x']],
    [
      'behind a SiLU of a convolution, the shortcut',
      [
        conv('x', 'a'),
        { op: 'Sigmoid', inputs: ['a'], outputs: ['s'] },
        { op: 'Mul', inputs: ['a', 's'], outputs: ['b'] },
        add('x', 'b'),
      ],
      ['x'],
    ],
    [
      'whose convolution is the shorter branch, the other one',
      [
        conv('x', 'a'),
        { op: 'Tanh', inputs: ['x'], outputs: ['t'] },
        { op: 'Exp', inputs: ['t'], outputs: ['e'] },
        add('a', 'e'),
      ],
      ['e'],
    ],
    [
      'whose convolution is read elsewhere too, nothing',
      [conv('x', 'a'), { op: 'Tanh', inputs: ['a'], outputs: ['t'] }, add('a', 't')],
      [],
    ],
    ['behind a product, nothing', [{ op: 'MatMul', inputs: ['x', 'w2'], outputs: ['a'] }, add('a', 'x')], []],
    ['of two values without a convolution, nothing', [relu('x', 'a'), add('a', 'x')], []],
    ['and a constant, nothing', [conv('x', 'a'), add('a', 'w')], []],
  ])('%s is quantized for TensorRT', async (_, nodes, quantized) => {
    const { readers } = await place(
      { inputs: { x: 'float32' }, outputs: { sum: 'float32' }, nodes, initializers: weights },
      placements.tensorrt,
    )
    expect([...readers].flatMap(([{ name }, values]) => (name === 'add' ? [...values] : []))).toEqual(quantized)
  })
})

describe('shared int8 scales', () => {
  test.each<[title: string, nodes: readonly NodeSpec[], groups: readonly (readonly string[])[]]>([
    [
      'is that of a Concat and its inputs',
      [relu('x', 'a'), conv('a', 'b'), concat(['a', 'b'], 'c'), conv('c', 'd'), conv('b', 'y')],
      [['a', 'b', 'c']],
    ],
    [
      'is not that of an input that stays in floating point',
      [relu('x', 'a'), conv('a', 'b'), concat(['a', 'b'], 'c'), conv('c', 'y')],
      [['a', 'c']],
    ],
    [
      'is that of nested Concats',
      [conv('x', 'a'), concat(['x', 'a'], 'b'), conv('b', 'c'), concat(['b', 'c'], 'd'), conv('d', 'y')],
      [['x', 'b', 'd']],
    ],
    [
      'is that of two Concats with an input in common',
      [
        relu('x', 'p'),
        relu('x', 'q'),
        conv('p', 'm'),
        conv('q', 'n'),
        concat(['x', 'p'], 'a'),
        conv('a', 'k'),
        concat(['p', 'q'], 'b'),
        conv('b', 'y'),
      ],
      [['p', 'a', 'q', 'b']],
    ],
    [
      'is that of a MaxPool and its input',
      [
        conv('x', 'a'),
        { op: 'MaxPool', inputs: ['x'], outputs: ['b'], attributes: { kernel_shape: [2, 2] } },
        conv('b', 'y'),
      ],
      [['x', 'b']],
    ],
    [
      'is not that of an average',
      [
        conv('x', 'a'),
        { op: 'AveragePool', inputs: ['x'], outputs: ['b'], attributes: { kernel_shape: [2, 2] } },
        conv('b', 'y'),
      ],
      [],
    ],
    ['is not that of a Concat that nothing reads in int8', [conv('x', 'a'), concat(['x', 'a'], 'y')], []],
  ])('TensorRT: %s', async (_, nodes, groups) => {
    const spec: GraphSpec = { inputs: { x: 'float32' }, outputs: { y: 'float32' }, nodes, initializers: weights }
    const { shared, values } = await place(spec, placements.tensorrt)
    expect([...shared.values()]).toEqual(groups)
    for (const [root, group] of shared) expect(group.map((value) => values.get(value))).toEqual(group.map(() => root))
    for (const other of [placements.onnxruntime, placements.openvino])
      expect((await place(spec, other)).shared.size).toBe(0)
  })
})

test.each([
  [1, [{ name: 'product', operator: 'MatMul', reason: row }]],
  [4, []],
])('samples of %i rows tell whether a product is one with a vector', async (rows, kept) => {
  writeSamples(folder, 2, [rows, 32])
  const file = join(folder, 'product.onnx')
  const nodes = [{ op: 'MatMul', name: 'product', inputs: ['x', 'w'], outputs: ['y'] }]
  writeFileSync(
    file,
    onnxModel({
      inputs: { x: 'float32[n,32]' },
      outputs: { y: 'float32[n,32]' },
      nodes,
      initializers: { w: floats([32, 32], 1) },
    }),
  )
  const { lowered } = await lowerToInt8(folder, file, 'tensorrt', {
    calibration: { samples: 'sample*.npy', method: 'minmax' },
  })
  expect(lowered.kept).toEqual(kept)
})

const padded = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }
const dims = [1, 3, 16, 16]

/** A residual, a Concat of what other convolutions read as well, and a pool, in a net that is quick to build. */
const net: ModelSpec = {
  inputs: { x: 'float32[1,3,16,16]' },
  outputs: { y: 'float32[1,16,8,8]' },
  nodes: [
    { op: 'Conv', name: 'stem', inputs: ['x', 'w0', 'b0'], outputs: ['c0'], attributes: padded },
    relu('c0', 'r0'),
    { op: 'Conv', name: 'branch', inputs: ['r0', 'w1'], outputs: ['c1'], attributes: padded },
    { op: 'Add', name: 'residual', inputs: ['c1', 'r0'], outputs: ['a1'] },
    relu('a1', 'r1'),
    { op: 'Conv', name: 'side', inputs: ['r1', 'w2'], outputs: ['c2'], attributes: padded },
    { op: 'Concat', name: 'concat', inputs: ['r0', 'r1', 'c2'], outputs: ['k'], attributes: { axis: 1 } },
    { op: 'MaxPool', inputs: ['k'], outputs: ['p'], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
    { op: 'Conv', name: 'head', inputs: ['p', 'w3'], outputs: ['y0'], attributes: padded },
    { op: 'Conv', name: 'wide', inputs: ['k', 'w3'], outputs: ['y1'], attributes: { ...padded, strides: [2, 2] } },
    { op: 'Sub', inputs: ['y0', 'y1'], outputs: ['y'] },
  ],
  initializers: {
    w0: floats([16, 3, 3, 3], 1, 0.25),
    b0: floats([16], 2, 0.1),
    w1: floats([16, 16, 3, 3], 3, 0.08),
    w2: floats([16, 16, 3, 3], 4, 0.08),
    w3: floats([16, 48, 3, 3], 5, 0.08),
  },
}

describe('int8 graph of a network with a residual and a Concat', () => {
  test('the graph for TensorRT has one Q for all inputs of the Concat, is valid, and stays close to fp32', async () => {
    const file = writeNet()
    const { graph, out, lowered } = await lowerToInt8(folder, file, 'tensorrt', {
      calibration: { samples: 'sample*.npy', method: 'minmax' },
    })
    expect(lowered).toMatchObject({ total: 5, lowered: 5, kept: [] })
    expect(dequantized(graph, 'residual')).toEqual([false, true])
    expect(dequantized(graph, 'concat')).toEqual([false, false, false])
    const scales = new Map(
      scopesOf(graph)[0]!.graph.node.flatMap(({ opType, input }) =>
        opType === 'QuantizeLinear' ? [[input[0], input[1]] as const] : [],
      ),
    )
    expect([...scales.keys()].sort()).toEqual(['k', 'p', 'r0', 'r1', 'x'])
    expect(new Set(['k', 'p', 'r0', 'r1'].map((value) => scales.get(value))).size).toBe(1)
    expect(scales.get('x')).not.toBe(scales.get('k'))
    expect(cosine(await runOnce(file, dims), await runOnce(out, dims))).toBeGreaterThan(0.998)
    const valid = join(folder, 'valid')
    mkdirSync(valid)
    copyFileSync(out, join(valid, 'int8.onnx'))
    const errors = await orSkip("the ONNX library's checker on an int8 graph", () => checkModels(valid))
    expect(errors ?? {}).toEqual({})
  })

  test.skipIf(missingTensorRtRtx())('the builder of TensorRT-RTX takes the graph for TensorRT as well', async () => {
    const { out } = await lowerToInt8(folder, writeNet(), 'tensorrt', {
      calibration: { samples: 'sample*.npy', method: 'minmax' },
    })
    const { compiled } = await build(folder, out, {
      backends: ['tensorrt-rtx'],
      targets: ['sm86', 'sm89', 'sm120'],
      verify: false,
      tensorrtRtx: { builderOptimizationLevel: 0 },
    })
    expect(compiled.variants).toHaveLength(1)
  })
})

test.skipIf(missingOpenVino()).each<[title: string, file: () => string, dims: readonly number[]]>([
  ['a net with a residual and a Concat', writeNet, dims],
  ['the OCR classifier', () => ocrModel('cls_infer.onnx'), [1, 3, 48, 192]],
])('%s in int8 runs in OpenVINO, close to fp32', async (_, find, shape) => {
  const file = find()
  writeSamples(folder, 4, shape)
  const input = {
    x: {
      data: normal(
        shape.reduce((product, dim) => product * dim, 1),
        999,
      ),
      dims: shape,
    },
  }
  const { manifest, compiled } = await build(folder, file, {
    engine: 'int8',
    shapes: { x: shape },
    calibration: join(folder, 'sample*.npy'),
    // Such small nets may be slower in int8: here only their numbers count.
    precision: { search: false, whenSlower: 'warn' },
  })
  expect(compiled.variants[0]?.report?.lowering?.lowered).toBeGreaterThan(0)
  await using model = createModel(manifest)
  const [result] = Object.values(await model.infer(input))
  expect(model.variant).toMatchObject({ backend: 'openvino', engine: 'int8' })
  const expected = await runOnce(file, shape)
  expect(cosine(expected, result?.data as Float32Array)).toBeGreaterThanOrEqual(0.99)
  // The same numbers would be those of fp32.
  expect(result?.data).not.toEqual(expected)
})

function writeNet(): string {
  writeSamples(folder, 4, dims)
  const file = join(folder, 'net.onnx')
  writeFileSync(file, onnxModel(net))
  return file
}

/** What a placement makes of a graph in which every value is usable, and `one` has one row. */
async function place(spec: GraphSpec, placement: Placement): Promise<Places> {
  const file = join(folder, 'place.onnx')
  writeFileSync(file, onnxModel(spec))
  const [scope] = scopesOf(await loadGraph(file))
  const made = new Set([...Object.keys(spec.inputs ?? {}), ...spec.nodes.flatMap(({ outputs }) => outputs)])
  return placeQuantization(scope!, placement, { usable: (value) => made.has(value), isRow: (value) => value === 'one' })
}
