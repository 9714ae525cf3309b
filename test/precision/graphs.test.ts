import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { type EditableModel, indexScope, loadGraph, scopesOf } from '../../plugin/onnx/graph.ts'
import { readModel } from '../../plugin/onnx/model.ts'
import { inferTypes } from '../../plugin/onnx/types.ts'
import { newestOpset } from '../../plugin/onnx/upgrade-rules.ts'
import { upgradeOpset } from '../../plugin/onnx/upgrade.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { emulateHalf } from '../../plugin/precision/half/emulate.ts'
import { lowerGraph } from '../../plugin/precision/half/lower-graph.ts'
import type { HalfDType } from '../../plugin/precision/half/rounding.ts'
import { storeGraph } from '../../plugin/precision/half/store-weights.ts'
import { draws, randomDims, randomSample } from '../../plugin/verify/random-inputs.ts'
import { checkModels, loadCorpus } from '../corpus/index.ts'
import { tempFolder } from '../support/helpers.ts'
import {
  onnxModel,
  sileroModels,
  type GraphSpec,
  type ModelSpec,
  type NodeSpec,
  type TensorSpec,
} from '../support/models.ts'
import { ocrModel } from '../support/openvino-models.ts'
import { orSkip } from '../support/python.ts'
import { uniform } from '../support/samples.ts'

const folder = tempFolder()
const corpus = await orSkip('the checker of the ONNX library', loadCorpus)

/** A weight of 32 x 32, large enough to be stored in 16 bits. */
function weight(seed: number, bound = 0.3): TensorSpec {
  return { dtype: 'float32', dims: [32, 32], data: [...uniform(1024, seed, bound)] }
}

const scalar = (...data: number[]): TensorSpec => ({
  dtype: 'float32',
  dims: data.length > 1 ? [data.length] : [],
  data,
})
const ints = (...data: number[]): TensorSpec => ({ dtype: 'int64', dims: [data.length], data })
const io = { inputs: { x: 'float32[2,32]' }, outputs: { y: 'float32[2,32]' } } as const
const row = 'float32[2,32]'
const cast = (from: string, made: string, to: number): NodeSpec => ({
  op: 'Cast',
  inputs: [from],
  outputs: [made],
  attributes: { to },
})
const matmul = (from: string, by: string, made: string): NodeSpec => ({
  op: 'MatMul',
  inputs: [from, by],
  outputs: [made],
})

/** A body whose one output is that of these nodes. */
function body(output: string, nodes: readonly NodeSpec[], more: Partial<GraphSpec> = {}): { graph: GraphSpec } {
  return { graph: { name: output, outputs: { [output]: row }, nodes, ...more } }
}

const loop: NodeSpec = {
  op: 'Loop',
  inputs: ['count', '', 'start'],
  outputs: ['end', 'all'],
  attributes: {
    body: body(
      'next',
      [
        { op: 'Identity', inputs: ['going'], outputs: ['go'] },
        matmul('state', 'w', 'a'),
        { op: 'Tanh', inputs: ['a'], outputs: ['next'] },
        { op: 'Add', inputs: ['next', 'start'], outputs: ['seen'] },
      ],
      {
        inputs: { index: 'int64[]', going: 'bool[]', state: row },
        outputs: { go: 'bool[]', next: row, seen: row },
      },
    ),
  },
}

const scan: NodeSpec = {
  op: 'Scan',
  inputs: ['start', 'x'],
  outputs: ['end', 'sums'],
  attributes: {
    num_scan_inputs: 1,
    body: {
      graph: {
        name: 'step',
        inputs: { state: 'float32[32]', element: 'float32[32]' },
        outputs: { sum: 'float32[32]', kept: 'float32[32]' },
        nodes: [
          { op: 'MatMul', inputs: ['element', 'w'], outputs: ['product'] },
          { op: 'Add', inputs: ['state', 'product'], outputs: ['sum'] },
          { op: 'Neg', inputs: ['sum'], outputs: ['kept'] },
        ],
      },
    },
  },
}

const specs: Readonly<Record<string, ModelSpec>> = {
  'tensors that are filled with a number, some of which does not fit': {
    ...io,
    initializers: { w: weight(8), large: { dtype: 'int64', dims: [2], data: [2, 32] } },
    nodes: [
      matmul('x', 'w', 'a'),
      { op: 'Shape', inputs: ['a'], outputs: ['shape'] },
      {
        op: 'ConstantOfShape',
        inputs: ['shape'],
        outputs: ['half'],
        attributes: { value: { tensor: { dtype: 'float32', dims: [1], data: [0.5] } } },
      },
      { op: 'ConstantOfShape', inputs: ['large'], outputs: ['zeros'] },
      {
        op: 'ConstantOfShape',
        inputs: ['shape'],
        outputs: ['masked'],
        attributes: { value: { tensor: { dtype: 'float32', dims: [1], data: [-1e38] } } },
      },
      { op: 'Concat', inputs: ['a', 'zeros'], outputs: ['joined'], attributes: { axis: 0 } },
      { op: 'ReduceMax', inputs: ['joined'], outputs: ['top'], attributes: { axes: [0], keepdims: 1 } },
      { op: 'Mul', inputs: ['a', 'half'], outputs: ['b'] },
      { op: 'Max', inputs: ['b', 'masked'], outputs: ['c'] },
      { op: 'Add', inputs: ['c', 'top'], outputs: ['y'] },
    ],
  },
  'a Loop whose body reads values and weights from outside': {
    ...io,
    initializers: { w: weight(1), count: { dtype: 'int64', dims: [], data: [3] } },
    nodes: [
      matmul('x', 'w', 'start'),
      loop,
      { op: 'ReduceMax', inputs: ['all'], outputs: ['top'], attributes: { axes: [0], keepdims: 0 } },
      { op: 'Sub', inputs: ['end', 'top'], outputs: ['y'] },
    ],
  },
  'a Scan': {
    ...io,
    initializers: { w: weight(2), start: { dtype: 'float32', dims: [32], data: [...uniform(32, 3, 1)] } },
    nodes: [scan, { op: 'Add', inputs: ['sums', 'end'], outputs: ['y'] }],
  },
  'an If in an If, with weights inside': {
    inputs: { ...io.inputs, flag: 'bool[]' },
    outputs: io.outputs,
    nodes: [
      { op: 'Relu', inputs: ['x'], outputs: ['a'] },
      {
        op: 'If',
        inputs: ['flag'],
        outputs: ['b'],
        attributes: {
          then_branch: body('inner', [
            {
              op: 'If',
              inputs: ['flag'],
              outputs: ['inner'],
              attributes: {
                then_branch: body('p', [matmul('a', 'w', 'p')], { initializers: { w: weight(4) } }),
                else_branch: body('q', [{ op: 'Neg', inputs: ['a'], outputs: ['q'] }]),
              },
            },
          ]),
          else_branch: body('other', [{ op: 'Exp', inputs: ['a'], outputs: ['other'] }]),
        },
      },
      { op: 'Add', inputs: ['a', 'b'], outputs: ['y'] },
    ],
  },
  'a local function': {
    ...io,
    initializers: { w: weight(5) },
    values: { b: row },
    functions: { Twice: { inputs: ['p'], outputs: ['r'], nodes: [{ op: 'Add', inputs: ['p', 'p'], outputs: ['r'] }] } },
    nodes: [
      matmul('x', 'w', 'a'),
      { op: 'Twice', domain: 'local', inputs: ['a'], outputs: ['b'] },
      { op: 'Tanh', inputs: ['b'], outputs: ['y'] },
    ],
  },
  'weights that several nodes share, and ones that are the same': {
    ...io,
    outputs: { y: row, z: row },
    initializers: { w: weight(6), same: weight(6), large: scalar(1e6), w2: weight(6) },
    nodes: [
      matmul('x', 'w', 'a'),
      matmul('a', 'same', 'b'),
      { op: 'Mul', inputs: ['a', 'large'], outputs: ['c'] },
      matmul('c', 'w', 'z'),
      matmul('b', 'w2', 'd'),
      matmul('d', 'w', 'y'),
    ],
  },
  'a weight that is an output too, and a value that is two': {
    ...io,
    outputs: { y: row, w: 'float32[32,32]', a: row, z: row },
    initializers: { w: weight(7) },
    nodes: [
      matmul('x', 'w', 'a'),
      { op: 'Tanh', inputs: ['a'], outputs: ['y'] },
      { op: 'Identity', inputs: ['a'], outputs: ['z'] },
    ],
  },
  'a weight of a Constant node': {
    ...io,
    nodes: [
      { op: 'Constant', inputs: [], outputs: ['w'], attributes: { value: { tensor: weight(8) } } },
      { op: 'Constant', inputs: [], outputs: ['half'], attributes: { value_float: { f: 0.5 } } },
      matmul('x', 'w', 'a'),
      { op: 'Mul', inputs: ['a', 'half'], outputs: ['y'] },
    ],
  },
  'initializers that are listed as inputs': {
    ...io,
    irVersion: 3,
    opset: 9,
    inputs: { ...io.inputs, w: 'float32[32,32]' },
    initializers: { w: weight(9) },
    nodes: [matmul('x', 'w', 'a'), { op: 'Relu', inputs: ['a'], outputs: ['y'] }],
  },
  'one Cast after another': {
    ...io,
    initializers: { w: weight(10) },
    nodes: [
      cast('x', 'h', 10),
      cast('h', 'f', 1),
      cast('f', 'd', 11),
      cast('d', 'g', 1),
      matmul('g', 'w', 'a'),
      cast('a', 'i', 9),
      cast('i', 'j', 1),
      cast('a', 'k', 10),
      cast('k', 'l', 1),
      { op: 'Add', inputs: ['j', 'l'], outputs: ['b'] },
      cast('b', 'm', 10),
      cast('m', 'n', 10),
      cast('n', 'y', 1),
    ],
  },
  'a mask of -1e9 before a Softmax': {
    ...io,
    inputs: { ...io.inputs, flag: 'bool[2,32]' },
    initializers: { w: weight(11), large: scalar(-1e9), zero: scalar(0) },
    nodes: [
      matmul('x', 'w', 'a'),
      { op: 'Where', inputs: ['flag', 'a', 'large'], outputs: ['b'] },
      { op: 'Softmax', inputs: ['b'], outputs: ['c'], attributes: { axis: -1 } },
      matmul('c', 'w', 'y'),
    ],
  },
  'a mask of the least float32': {
    ...io,
    initializers: {
      w: weight(12),
      least: {
        dtype: 'float32',
        dims: [32],
        data: Array.from({ length: 32 }, (_, i) => (i < 16 ? 0 : -3.4028234663852886e38)),
      },
    },
    nodes: [
      matmul('x', 'w', 'a'),
      { op: 'Add', inputs: ['a', 'least'], outputs: ['b'] },
      { op: 'Softmax', inputs: ['b'], outputs: ['c'], attributes: { axis: -1 } },
      matmul('c', 'w', 'y'),
    ],
  },
  'NaN and infinity in initializers': {
    ...io,
    initializers: {
      w: weight(13),
      odd: {
        dtype: 'float32',
        dims: [32],
        data: Array.from({ length: 32 }, (_, i) => [1, NaN, Infinity, -Infinity][i % 4]!),
      },
    },
    nodes: [
      matmul('x', 'w', 'a'),
      { op: 'Max', inputs: ['a', 'odd'], outputs: ['b'] },
      { op: 'Min', inputs: ['b', 'odd'], outputs: ['c'] },
      { op: 'Add', inputs: ['a', 'c'], outputs: ['y'] },
    ],
  },
  'NaN and infinity in a large weight': {
    ...io,
    initializers: { w: { ...weight(14), data: [NaN, Infinity, ...uniform(1022, 14, 0.3)] } },
    nodes: [matmul('x', 'w', 'y')],
  },
  'a norm with an epsilon of 1e-12': {
    ...io,
    initializers: { w: weight(15), two: scalar(2), epsilon: scalar(1e-12) },
    nodes: [
      matmul('x', 'w', 'a'),
      { op: 'ReduceMean', inputs: ['a'], outputs: ['mean'], attributes: { axes: [-1] } },
      { op: 'Sub', inputs: ['a', 'mean'], outputs: ['b'] },
      { op: 'Pow', inputs: ['b', 'two'], outputs: ['c'] },
      { op: 'ReduceMean', inputs: ['c'], outputs: ['d'], attributes: { axes: [-1] } },
      { op: 'Add', inputs: ['d', 'epsilon'], outputs: ['e'] },
      { op: 'Sqrt', inputs: ['e'], outputs: ['f'] },
      { op: 'Div', inputs: ['b', 'f'], outputs: ['y'] },
    ],
  },
  'absent optional inputs, and shapes that are floats': {
    inputs: { x: 'float32[1,2,8,8]' },
    outputs: { y: 'float32[1,2,16,16]' },
    initializers: {
      scales: scalar(1, 1, 2, 2),
      low: scalar(-0.5),
      w: { dtype: 'float32', dims: [2, 2, 3, 3], data: [...uniform(36, 16, 0.5)] },
    },
    nodes: [
      { op: 'Conv', inputs: ['x', 'w', ''], outputs: ['a'], attributes: { pads: [1, 1, 1, 1] } },
      { op: 'Clip', inputs: ['a', '', 'low'], outputs: ['b'] },
      { op: 'Resize', inputs: ['b', '', 'scales'], outputs: ['y'], attributes: { mode: 'linear' } },
    ],
  },
  'a table of embeddings': {
    inputs: { ids: 'int64[2]' },
    outputs: { y: row },
    initializers: { table: weight(17, 1), w: weight(18) },
    nodes: [{ op: 'Gather', inputs: ['table', 'ids'], outputs: ['a'] }, matmul('a', 'w', 'y')],
  },
  'a sequence of values': {
    ...io,
    initializers: { w: weight(19), at: { dtype: 'int64', dims: [], data: [1] } },
    nodes: [
      matmul('x', 'w', 'a'),
      { op: 'SequenceConstruct', inputs: ['x', 'a'], outputs: ['s'] },
      { op: 'SequenceAt', inputs: ['s', 'at'], outputs: ['b'] },
      { op: 'Add', inputs: ['a', 'b'], outputs: ['y'] },
    ],
  },
  'float16 and float64 values beside float32': {
    inputs: { ...io.inputs, double: 'float64[2,32]' },
    outputs: { ...io.outputs, h: row },
    initializers: { w: weight(20) },
    nodes: [
      cast('x', 'half', 10),
      cast('half', 'wide', 1),
      cast('double', 'narrow', 1),
      matmul('wide', 'w', 'a'),
      { op: 'Sum', inputs: ['a', 'narrow', 'x'], outputs: ['y'] },
      { op: 'Neg', inputs: ['half'], outputs: ['n'] },
      cast('n', 'h', 1),
    ],
  },
  'an operator that nothing is known of, in a body of one that is': {
    ...io,
    inputs: { ...io.inputs, flag: 'bool[]' },
    opsets: { 'com.microsoft': 1 },
    initializers: { w: weight(21) },
    values: { b: row },
    nodes: [
      matmul('x', 'w', 'a'),
      {
        op: 'If',
        inputs: ['flag'],
        outputs: ['b'],
        attributes: {
          then_branch: body('p', [{ op: 'Gelu', domain: 'com.microsoft', inputs: ['a'], outputs: ['p'] }]),
          else_branch: body('q', [{ op: 'Neg', inputs: ['a'], outputs: ['q'] }]),
        },
      },
      { op: 'Tanh', inputs: ['b'], outputs: ['y'] },
    ],
  },
  ...Object.fromEntries(
    Array.from({ length: newestOpset - 6 }, (_, index): [string, ModelSpec] => [
      `opset ${index + 7}`,
      netOf(index + 7),
    ]),
  ),
}

/**
 * A small net of operators whose attributes became inputs, or that got another meaning, in one of the opsets from 7 on.
 */
function netOf(opset: number): ModelSpec {
  const axes = (since: number, ...values: number[]) => (opset < since ? { attributes: { axes: values } } : {})
  const also = (since: number, name: string) => (opset < since ? [] : [name])
  return {
    opset,
    irVersion: opset < 15 ? 7 : 10,
    inputs: { x: 'float32[1,4,8,8]' },
    outputs: { y: 'float32[1,8]' },
    initializers: {
      k: { dtype: 'float32', dims: [8, 4, 3, 3], data: [...uniform(288, opset, 0.3)] },
      w: { dtype: 'float32', dims: [8, 8], data: [...uniform(64, opset + 1, 0.5)] },
      bias: scalar(...uniform(8, 3, 1)),
      ...(opset >= 13 && { last: ints(2, 3), first: ints(0) }),
      ...(opset >= 11 && { low: scalar(-1), high: scalar(1) }),
    },
    nodes: [
      { op: 'Conv', inputs: ['x', 'k'], outputs: ['a'], attributes: { pads: [1, 1, 1, 1] } },
      {
        op: 'Clip',
        inputs: ['a', ...also(11, 'low'), ...also(11, 'high')],
        outputs: ['b'],
        ...(opset < 11 && { attributes: { min: { f: -1 }, max: { f: 1 } } }),
      },
      { op: 'GlobalAveragePool', inputs: ['b'], outputs: ['c'] },
      { op: 'Squeeze', inputs: ['c', ...also(13, 'last')], outputs: ['d'], ...axes(13, 2, 3) },
      { op: 'Gemm', inputs: ['d', 'w', 'bias'], outputs: ['e'], attributes: { transB: 1 } },
      { op: 'Softmax', inputs: ['e'], outputs: ['f'], attributes: { axis: 1 } },
      { op: 'Unsqueeze', inputs: ['f', ...also(13, 'first')], outputs: ['g'], ...axes(13, 0) },
      { op: 'Squeeze', inputs: ['g', ...also(13, 'first')], outputs: ['y'], ...axes(13, 0) },
    ],
  }
}

// The newest opsets are ahead of ONNX Runtime, which then runs neither the original nor ours: those are only checked.
const newestThatRuns = 26

/** Cases that come as files. */
const files: Readonly<Record<string, string>> = {
  'external data': withExternalData(),
  'the OCR classifier': ocrModel('cls_infer.onnx'),
  ...Object.fromEntries(Object.entries(sileroModels).map(([name, file]) => [`Silero VAD (${name})`, file])),
}

const cases = [...Object.keys(specs), ...Object.keys(files)]
const dims = { input: [1, 576], state: [2, 1, 128], x: [1, 3, 48, 192] }

const dtypes = { float16: 0.01, bfloat16: 0.06 } as const
// Where nothing is lowered, and why.
const nothing: Readonly<Record<'compute' | 'store', Readonly<Record<string, string>>>> = {
  compute: { 'NaN and infinity in a large weight': 'the one weight does not fit' },
  store: {
    'NaN and infinity in a large weight': 'it does not fit',
    'absent optional inputs, and shapes that are floats': 'a Cast would take as many bytes as it saves',
  },
}

function withExternalData(): string {
  const file = join(folder, 'external.onnx')
  const data = uniform(2048, 30, 0.3)
  writeFileSync(join(folder, 'external.bin'), new Uint8Array(data.buffer))
  const [first, second] = [0, 4096].map((offset): TensorSpec => ({
    dtype: 'float32',
    dims: [32, 32],
    data: [],
    external: { location: 'external.bin', offset, length: 4096 },
  })) as [TensorSpec, TensorSpec]
  writeFileSync(
    file,
    onnxModel({
      ...io,
      initializers: { w: first, v: second, same: first },
      nodes: [matmul('x', 'w', 'a'), matmul('a', 'v', 'b'), matmul('b', 'same', 'y')],
    }),
  )
  return file
}

/** Casts that a model could do without: of a weight, the second one of a value to a dtype, and to fp32 and back. */
function needlessCasts(model: EditableModel, dtype: HalfDType): string[] {
  const types = inferTypes(model)
  const floats = new Set<unknown>(['float32', dtype])
  return scopesOf(model).flatMap((scope) => {
    const { producers, constants } = indexScope(scope)
    const seen = new Set<string>()
    return scope.graph.node
      .filter(({ opType }) => opType === 'Cast')
      .flatMap(({ input: [from = ''], output: [made = ''] }) => {
        const maker = producers.get(from)
        const again = `${from} ${String(types.of(scope, made))}`
        const back =
          maker?.opType === 'Cast' &&
          types.of(scope, from) === 'float32' &&
          types.of(scope, made) === dtype &&
          types.of(scope, maker.input[0] ?? '') === dtype
        const needless =
          floats.has(types.of(scope, from)) &&
          ((constants.has(from) && types.of(scope, from) === 'float32') || seen.has(again) || back)
        seen.add(again)
        return needless ? [`${from} to ${made}`] : []
      })
  })
}

function fileOf(title: string): string {
  if (Object.hasOwn(files, title)) return files[title]!
  const file = join(folder, `${cases.indexOf(title)}.onnx`)
  writeFileSync(file, onnxModel(specs[title]!))
  return file
}

async function feedsOf(file: string): Promise<Record<string, ort.Tensor>> {
  const { bindings } = await readModel(file)
  const known = Object.fromEntries(
    bindings.inputs.flatMap(({ name, dims: declared }) =>
      declared?.every((dim) => typeof dim === 'number') || !Object.hasOwn(dims, name)
        ? []
        : [[name, dims[name as keyof typeof dims]]],
    ),
  )
  const shapes = randomDims(bindings.inputs, known, { first: 1, others: 4 })!
  const limits = { values: {}, ranges: new Map() }
  const sample = randomSample(bindings.inputs, shapes, limits, { draw: draws[0], seed: 0 })
  const feeds = [...sample].map(([name, { dtype, data, dims: shape }]) => [
    name,
    name === 'sr'
      ? new ort.Tensor('int64', BigInt64Array.of(16_000n), [])
      : new ort.Tensor(dtype as 'float32', data as Float32Array, shape),
  ])
  return Object.fromEntries(feeds)
}

async function run(file: string, feeds: Record<string, ort.Tensor>): Promise<ort.InferenceSession.OnnxValueMapType> {
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 4, graphOptimizationLevel: 'disabled' })
  try {
    return await session.run(feeds)
  } finally {
    await session.release()
  }
}

// Of a probability near zero the digits behind do not matter.
const leastMagnitude = 0.1

/**
 * Outputs that are further from the expected ones than a share of their largest magnitude, or have other NaN and
 * infinities.
 */
function differences(
  expected: ort.InferenceSession.OnnxValueMapType,
  received: ort.InferenceSession.OnnxValueMapType,
  share: number,
): string[] {
  return Object.entries(expected).flatMap(([name, { data, dims: shape }]) => {
    const [wanted, given] = [
      Array.from(data as Float32Array, Number),
      Array.from(received[name]!.data as Float32Array, Number),
    ]
    const largest = wanted.reduce(
      (most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most),
      leastMagnitude,
    )
    const at = wanted.findIndex(
      (value, index) =>
        !Object.is(value, given[index]) &&
        value !== given[index] &&
        !(Math.abs(value - given[index]!) <= share * largest),
    )
    return received[name]!.dims.join() === shape.join() && at < 0
      ? []
      : [`${name}[${at}]: expected ${wanted[at]} of ${largest}, received ${given[at]}`]
  })
}

describe.each(['float16', 'bfloat16'] as const)('graph lowered to %s', (dtype) => {
  const valid = tempFolder()

  test.each(cases)('%s gives the same numbers', async (title) => {
    const file = fileOf(title)
    const opset = (await readModel(file)).opsets[''] ?? 0
    const feeds = await feedsOf(file)
    const expected = opset <= newestThatRuns ? await run(file, feeds) : undefined
    const troubles: unknown[] = []
    for (const way of ['compute', 'store'] as const) {
      const graph = await loadGraph(file)
      const least = { compute: { float16: 7, bfloat16: 22 }, store: { float16: 7, bfloat16: 13 } }[way][dtype]
      if (least > 7) upgradeOpset(graph, least)
      const limits = { dtype, maxValue: 4096, maxDepth: Infinity, pinned: new Set<string>() }
      const report = way === 'compute' ? await lowerGraph(graph, limits) : await storeGraph(graph, dtype, new Set())
      if (report.lowered > 0 === Object.hasOwn(nothing[way], title)) troubles.push({ way, report })
      if (way === 'compute') troubles.push(...needlessCasts(graph, dtype))
      const lowered = join(valid, `${cases.indexOf(title)}.${way}.onnx`)
      await writeGraph(graph, lowered)
      if (!expected) continue
      if (way === 'store' || dtype === 'float16')
        troubles.push(...differences(expected, await run(lowered, feeds), dtypes[dtype]))
      if (way === 'store') continue
      // ONNX Runtime has no bf16 kernels for the CPU, and drops roundings between fp16 ones.
      emulateHalf(graph)
      const emulated = join(folder, 'emulated.onnx')
      await writeGraph(graph, emulated)
      troubles.push(...differences(expected, await run(emulated, feeds), dtypes[dtype]))
    }
    expect(troubles).toEqual([])
  })

  test.skipIf(!corpus)('the checker of the ONNX library finds every graph valid', async () => {
    expect(await checkModels(valid)).toEqual({})
  })
})
