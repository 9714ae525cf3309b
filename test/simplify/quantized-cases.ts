import type { ModelSpec, NodeSpec, TensorSpec } from '../support/models.ts'
import { bytes, floats, int64, ms, noise, one, step } from './operator-specs.ts'

/** A model of operators on integers, and how far floating point may be from it. */
export interface QuantizedCase {
  readonly name: string
  readonly model: ModelSpec
  /** The scale of the output: one step of its integers. Absent: the numbers are the same but for the order of sums. */
  readonly step?: number
  /** Largest difference as a share of the largest element, where ONNX Runtime rounds what floats do not. */
  readonly share?: number
}

const contrib = { opsets: { 'com.microsoft': 1 } }

const kinds = {
  'uint8 around 113': { dtype: 'uint8', zero: 113 },
  'uint8 around 128': { dtype: 'uint8', zero: 128 },
  int8: { dtype: 'int8', zero: 0 },
} as const

type Kind = (typeof kinds)[keyof typeof kinds]

const xs = 2 / 255
const ys = 0.05

function scales(count: number): TensorSpec {
  return { dtype: 'float32', dims: [count], data: noise(count, 0.002).map((value) => 0.004 + value) }
}

function int32(...data: number[]): TensorSpec {
  return { dtype: 'int32', dims: [data.length], data: data.map(Math.round) }
}

/** x, quantized, through the nodes, which read q and write r, to y. */
function between(
  { dtype, zero }: Kind,
  nodes: readonly NodeSpec[],
  more: { dims?: string; result?: string; initializers?: ModelSpec['initializers']; scale?: number } = {},
): ModelSpec {
  return {
    ...contrib,
    inputs: { x: `float32[${more.dims ?? '1,4,8,8'}]` },
    outputs: { y: `float32[${more.result ?? '?'}]` },
    nodes: [
      { op: 'QuantizeLinear', inputs: ['x', 'xs', 'z'], outputs: ['q'] },
      ...nodes,
      { op: 'DequantizeLinear', inputs: ['r', 'ys', 'z'], outputs: ['y'] },
    ],
    initializers: { xs: step(xs), ys: step(more.scale ?? ys), z: one(dtype, zero), ...more.initializers },
  }
}

const product = (op: string, ...rest: string[]) => ({ op, inputs: ['q', 'xs', 'z', ...rest], outputs: ['r'] })

function ofKind(kind: Kind): Readonly<Record<string, ModelSpec>> {
  const weight = kind.dtype
  return {
    'QLinearConv with a scale for each channel and a bias': between(
      kind,
      [{ ...product('QLinearConv', 'w', 'ws', 'wz', 'ys', 'z', 'b'), attributes: { strides: [2, 2] } }],
      {
        result: '1,8,3,3',
        initializers: {
          w: bytes('int8', 8, 4, 3, 3),
          ws: scales(8),
          wz: { dtype: 'int8', dims: [8], data: new Uint8Array(8) },
          b: int32(...noise(8, 5000)),
        },
      },
    ),
    'QLinearConv of more channels than are in memory with the graph': between(
      kind,
      [product('QLinearConv', 'w', 'ws', 'wz', 'ys', 'z', 'b')],
      {
        result: '1,300,8,8',
        initializers: {
          w: bytes('int8', 300, 4, 1, 1),
          ws: scales(300),
          wz: { dtype: 'int8', dims: [300], data: new Uint8Array(300) },
          b: int32(...noise(300, 5000)),
        },
      },
    ),
    'QLinearConv with one scale': between(kind, [product('QLinearConv', 'w', 'ws', 'wz', 'ys', 'z')], {
      result: '1,8,6,6',
      initializers: { w: bytes(weight, 8, 4, 3, 3), ws: step(0.003), wz: one(weight, weight === 'int8' ? 0 : 121) },
    }),
    QLinearMatMul: between(kind, [product('QLinearMatMul', 'w', 'ws', 'wz', 'ys', 'z')], {
      dims: '2,5,32',
      result: '2,5,16',
      initializers: {
        w: bytes('int8', 32, 16),
        ws: scales(16),
        wz: { dtype: 'int8', dims: [16], data: new Uint8Array(16) },
      },
    }),
    QGemm: between(
      kind,
      [ms('QGemm', ['q', 'xs', 'z', 'w', 'ws', 'wz', 'b', 'ys', 'z'], ['r'], { transB: 1, alpha: { f: 1 } })],
      {
        dims: '5,32',
        result: '5,16',
        initializers: {
          w: bytes(weight, 16, 32),
          ws: step(0.004),
          wz: one(weight, weight === 'int8' ? 0 : 121),
          b: int32(...noise(16, 5000)),
        },
      },
    ),
    'QLinearAdd, QLinearMul and pools': between(
      kind,
      [
        ms('QLinearAdd', ['q', 'xs', 'z', 'q', 'xs', 'z', 'ys', 'z'], ['sum']),
        ms('QLinearMul', ['sum', 'ys', 'z', 'q', 'xs', 'z', 'ys', 'z'], ['product']),
        { op: 'MaxPool', inputs: ['product'], outputs: ['most'], attributes: { kernel_shape: [2, 2] } },
        ms('QLinearAveragePool', ['most', 'ys', 'z', 'means', 'z'], ['mean'], { kernel_shape: [2, 2] }),
        ms('QLinearGlobalAveragePool', ['mean', 'means', 'z', 'ys', 'z'], ['r']),
      ],
      { dims: '3,40,8,8', result: '3,40,1,1', scale: 0.0131, initializers: { means: step(0.0219) } },
    ),
    'QLinearSigmoid and QLinearLeakyRelu': between(
      kind,
      [
        ms('QLinearLeakyRelu', ['q', 'xs', 'z', 'xs', 'z'], ['bent'], { alpha: 0.2 }),
        ms('QLinearSigmoid', ['bent', 'xs', 'z', 'ys', 'z'], ['r']),
      ],
      { result: '1,4,8,8', scale: 1 / 128 },
    ),
    QLinearSoftmax: between(kind, [ms('QLinearSoftmax', ['q', 'xs', 'z', 'ys', 'z'], ['r'], { axis: -1, opset: 17 })], {
      dims: '4,10',
      result: '4,10',
      scale: 1 / 128,
    }),
    'QLinearConcat and QLinearWhere': between(
      kind,
      [
        ms('QLinearConcat', ['ys', 'z', 'q', 'xs', 'z', 'q', 'xs', 'z'], ['joined'], { axis: 1 }),
        ms('QLinearWhere', ['t', 'joined', 'ys', 'z', 'k', 'xs', 'z', 'ys', 'z'], ['r']),
      ],
      {
        result: '1,8,8,8',
        initializers: {
          t: { dtype: 'bool', dims: [8], data: Uint8Array.of(1, 0, 1, 1, 0, 0, 1, 0) },
          k: bytes(weight, 1),
        },
      },
    ),
    'Integers that are moved before a product': between(
      kind,
      [
        { op: 'Transpose', inputs: ['q'], outputs: ['turned'], attributes: { perm: [0, 2, 3, 1] } },
        { op: 'Reshape', inputs: ['turned', 'shape'], outputs: ['flat'] },
        { op: 'Gather', inputs: ['flat', 'at'], outputs: ['picked'], attributes: { axis: 0 } },
        { op: 'QLinearMatMul', inputs: ['picked', 'xs', 'z', 'w', 'ws', 'wz', 'ys', 'z'], outputs: ['r'] },
      ],
      {
        result: '3,16',
        initializers: {
          shape: int64(8, 32),
          at: int64(5, 0, 2),
          w: bytes(weight, 32, 16),
          ws: step(0.004),
          wz: one(weight, weight === 'int8' ? 0 : 121),
        },
      },
    ),
  }
}

function zeros(...dims: number[]): TensorSpec {
  return { dtype: 'int8', dims, data: new Uint8Array(dims.reduce((all, dim) => all * dim, 1)) }
}

/** What ONNX Runtime computes on integers throughout. */
const exact: readonly QuantizedCase[] = [
  {
    name: 'MatMulIntegerToFloat',
    model: {
      ...contrib,
      inputs: { x: 'float32[4,32]' },
      outputs: { y: 'float32[4,16]' },
      nodes: [
        { op: 'DynamicQuantizeLinear', inputs: ['x'], outputs: ['q', 's', 'z'] },
        ms('MatMulIntegerToFloat', ['q', 'w', 's', 'ws', 'z', 'wz', 'b'], ['y']),
      ],
      initializers: { w: bytes('int8', 32, 16), ws: scales(16), wz: zeros(16), b: floats(16) },
    },
  },
  {
    name: 'DynamicQuantizeMatMul',
    model: {
      ...contrib,
      inputs: { x: 'float32[4,32]' },
      outputs: { y: 'float32[4,16]' },
      nodes: [ms('DynamicQuantizeMatMul', ['x', 'w', 'ws', 'wz', 'b'], ['y'])],
      initializers: { w: bytes('uint8', 32, 16), ws: step(0.004), wz: one('uint8', 117), b: floats(16) },
    },
  },
  {
    name: 'QGemm to floats',
    model: {
      ...contrib,
      inputs: { x: 'float32[5,32]' },
      outputs: { y: 'float32[5,16]' },
      nodes: [
        { op: 'QuantizeLinear', inputs: ['x', 'xs', 'z'], outputs: ['q'] },
        ms('QGemm', ['q', 'xs', 'z', 'w', 'ws', 'wz', 'b', '', ''], ['y'], { alpha: 0.5 }),
      ],
      initializers: {
        xs: step(xs),
        z: one('uint8', 113),
        w: bytes('int8', 32, 16),
        ws: scales(16),
        wz: zeros(16),
        b: int32(...noise(16, 5000)),
      },
    },
  },
  {
    name: 'DequantizeLinear of an input and of a long bias of int32',
    model: {
      inputs: { x: 'uint8[1,4,8,8]' },
      outputs: { y: 'float32[1,300,8,8]' },
      nodes: [
        { op: 'DequantizeLinear', inputs: ['x', 'xs', 'z'], outputs: ['d'] },
        { op: 'DequantizeLinear', inputs: ['b', 'bs'], outputs: ['bd'], attributes: { axis: 0 } },
        { op: 'Conv', inputs: ['d', 'w', 'bd'], outputs: ['y'] },
      ],
      initializers: {
        xs: step(xs),
        z: one('uint8', 113),
        w: floats(300, 4, 1, 1),
        b: int32(...noise(300, 5000)),
        bs: scales(300),
      },
    },
  },
]

function lstm(directions: 1 | 2, perChannel: boolean): QuantizedCase {
  const weights = (rows: number): TensorSpec => bytes('int8', directions, rows, 32)
  const factors = perChannel ? [directions, 32] : [directions]
  const count = directions * (perChannel ? 32 : 1)
  const scale: TensorSpec = { dtype: 'float32', dims: factors, data: noise(count, 0.001).map((value) => 0.003 + value) }
  return {
    name: `DynamicQuantizeLSTM, ${directions} directions${perChannel ? ', a scale for each channel' : ''}`,
    share: 0.03,
    model: {
      ...contrib,
      // OpenVINO 2026.4 computes other numbers for two in a batch and one direction, of plain LSTM, too.
      inputs: { x: `float32[6,${directions},12]` },
      outputs: { y: `float32[6,${directions},${directions},8]`, last: `float32[${directions},${directions},8]` },
      nodes: [
        ms('DynamicQuantizeLSTM', ['x', 'w', 'r', 'b', '', '', '', '', 's', 'z', 's', 'z'], ['y', 'last'], {
          hidden_size: 8,
          direction: directions === 2 ? 'bidirectional' : 'forward',
        }),
      ],
      initializers: { w: weights(12), r: weights(8), b: floats(directions, 64), s: scale, z: zeros(...factors) },
    },
  }
}

export const quantizedCases: readonly QuantizedCase[] = [
  ...Object.entries(kinds).flatMap(([kind, facts]) =>
    Object.entries(ofKind(facts)).map(([name, model]) => ({
      name: `${name}, ${kind}`,
      model,
      step: model.initializers?.['ys']?.data[0] ?? ys,
    })),
  ),
  ...exact,
  lstm(1, false),
  lstm(2, false),
  lstm(2, true),
]
