import type { ModelSpec, TensorSpec } from '../support/models.ts'
import { bytes, floats, int64, ms, noise, one, type OperatorCase, step } from './operator-specs.ts'

const contrib = { opsets: { 'com.microsoft': 1 } }
const absent = /Plugin not found/

const rows = { inputs: { x: 'float32[2,8,32]' }, outputs: { y: 'float32[2,8,32]' } }
const image = { inputs: { x: 'float32[1,4,8,8]' }, outputs: { y: 'float32[1,8,6,6]' } }

function unary(op: string, bias: boolean): OperatorCase['model'] {
  return {
    ...contrib,
    ...rows,
    nodes: [ms(op, bias ? ['x', 'b'] : ['x'], ['y'])],
    ...(bias && { initializers: { b: floats(32) } }),
  }
}

function quantizing(zero: number, weightZero: number): ModelSpec {
  return {
    ...image,
    nodes: [
      { op: 'QuantizeLinear', inputs: ['x', 's', 'z'], outputs: ['q'] },
      { op: 'DequantizeLinear', inputs: ['q', 's', 'z'], outputs: ['d'] },
      { op: 'DequantizeLinear', inputs: ['w', 's', 'zw'], outputs: ['wd'] },
      { op: 'DequantizeLinear', inputs: ['b', 'sb'], outputs: ['bd'] },
      { op: 'Conv', inputs: ['d', 'wd', 'bd'], outputs: ['y'] },
    ],
    initializers: {
      s: step(0.01),
      z: one('uint8', zero),
      zw: one('uint8', weightZero),
      w: bytes('uint8', 8, 4, 3, 3),
      b: { dtype: 'int32', dims: [8], data: noise(8, 1000).map(Math.round) },
      sb: step(0.0001),
    },
  }
}

function nbits(
  name: string,
  { bits, k, zeros, bias }: { bits: 4 | 8; k: number; zeros?: TensorSpec; bias?: TensorSpec },
): OperatorCase {
  const inputs = ['x', 'b', 's', ...(zeros ? ['z'] : []), ...(bias ? ['', 'bias'] : [])]
  return {
    name,
    model: {
      ...contrib,
      inputs: { x: `float32[2,4,${k}]` },
      outputs: { y: 'float32[2,4,16]' },
      nodes: [ms('MatMulNBits', inputs, ['y'], { K: k, N: 16, bits, block_size: 32 })],
      initializers: {
        b: bytes('uint8', 16, k / 32, 4 * bits),
        // Quantizers make them negative for 4 bits only.
        s: bits === 4 ? floats(k / 2) : { ...floats(k / 2), data: noise(k / 2, 0.4).map(Math.abs) },
        ...(zeros && { z: zeros }),
        ...(bias && { bias }),
      },
    },
    refusal: /must be FP16|MatMulNBits/,
  }
}

const recurrent = (op: string, gates: number): ModelSpec => ({
  inputs: { x: 'float32[6,2,4]', lens: 'int32[2]' },
  outputs: { y: 'float32[6,1,2,8]' },
  nodes: [{ op, inputs: ['x', 'w', 'r', 'b', 'lens'], outputs: ['y'], attributes: { hidden_size: 8 } }],
  initializers: { w: floats(1, gates * 8, 4), r: floats(1, gates * 8, 8), b: floats(1, gates * 16) },
})

/** Operators with sequence lengths, which TensorRT-RTX builds in fp32 alone. */
export const recurrentCases: readonly OperatorCase[] = [
  { name: 'GRU', model: recurrent('GRU', 3), feeds: { lens: [6, 3] } },
  { name: 'RNN', model: recurrent('RNN', 1), feeds: { lens: [6, 3] } },
  { name: 'LSTM', model: recurrent('LSTM', 4), feeds: { lens: [6, 3] } },
]

export const operatorCases: readonly OperatorCase[] = [
  {
    name: 'SkipLayerNormalization',
    model: {
      ...contrib,
      inputs: { x: 'float32[2,8,32]', skip: 'float32[2,8,32]' },
      outputs: { y: 'float32[2,8,32]' },
      nodes: [ms('SkipLayerNormalization', ['x', 'skip', 'g', 'b', 'c'], ['y'], { epsilon: 1e-5 })],
      initializers: { g: floats(32), b: floats(32), c: floats(32) },
    },
    refusal: absent,
  },
  {
    name: 'SkipSimplifiedLayerNormalization with the sum',
    model: {
      ...contrib,
      inputs: { x: 'float32[2,8,32]', skip: 'float32[2,8,32]' },
      outputs: { y: 'float32[2,8,32]', sum: 'float32[2,8,32]' },
      nodes: [ms('SkipSimplifiedLayerNormalization', ['x', 'skip', 'g'], ['y', '', '', 'sum'], { epsilon: 1e-5 })],
      initializers: { g: floats(32) },
    },
  },
  { name: 'Gelu', model: unary('Gelu', false) },
  { name: 'BiasGelu', model: unary('BiasGelu', true), refusal: absent },
  { name: 'FastGelu', model: unary('FastGelu', true), refusal: absent },
  { name: 'QuickGelu', model: unary('QuickGelu', false), refusal: absent },
  {
    name: 'FusedMatMul',
    model: {
      ...contrib,
      inputs: { x: 'float32[2,4,32]', k: 'float32[2,8,32]' },
      outputs: { y: 'float32[2,4,8]' },
      nodes: [ms('FusedMatMul', ['x', 'k'], ['y'], { transB: 1, alpha: 0.125 })],
    },
    refusal: absent,
  },
  {
    name: 'com.microsoft.Attention with a mask',
    model: {
      ...contrib,
      inputs: { ...rows.inputs, mask: 'int32[2,8]' },
      outputs: rows.outputs,
      nodes: [ms('Attention', ['x', 'w', 'b', 'mask'], ['y'], { num_heads: 4 })],
      initializers: { w: floats(32, 96), b: floats(96) },
    },
    feeds: { mask: [1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0] },
    refusal: /Attention/,
  },
  {
    name: 'com.microsoft.Attention in one direction',
    model: {
      ...contrib,
      ...rows,
      nodes: [ms('Attention', ['x', 'w', 'b'], ['y'], { num_heads: 4, unidirectional: 1 })],
      initializers: { w: floats(32, 96), b: floats(96) },
    },
    refusal: /Attention/,
  },
  {
    name: 'MultiHeadAttention',
    model: {
      ...contrib,
      inputs: { q: 'float32[2,8,32]', k: 'float32[2,6,32]', v: 'float32[2,6,32]' },
      outputs: rows.outputs,
      nodes: [ms('MultiHeadAttention', ['q', 'k', 'v', 'b'], ['y'], { num_heads: 4 })],
      initializers: { b: floats(96) },
    },
    refusal: /MultiHeadAttention/,
  },
  {
    name: 'GroupQueryAttention with a past, rotated',
    model: {
      ...contrib,
      inputs: {
        q: 'float32[1,3,64]',
        k: 'float32[1,3,32]',
        v: 'float32[1,3,32]',
        pastKey: 'float32[1,2,5,16]',
        pastValue: 'float32[1,2,5,16]',
        last: 'int32[1]',
        total: 'int32[]',
      },
      outputs: { y: 'float32[1,3,64]', presentKey: 'float32[1,2,8,16]', presentValue: 'float32[1,2,8,16]' },
      nodes: [
        ms(
          'GroupQueryAttention',
          ['q', 'k', 'v', 'pastKey', 'pastValue', 'last', 'total', 'cos', 'sin'],
          ['y', 'presentKey', 'presentValue'],
          { num_heads: 4, kv_num_heads: 2, do_rotary: 1 },
        ),
      ],
      initializers: { cos: floats(64, 8), sin: floats(64, 8) },
    },
    feeds: { last: [7], total: [8] },
    refusal: /GroupQueryAttention/,
  },
  {
    name: 'com.microsoft.RotaryEmbedding',
    model: {
      ...contrib,
      inputs: { x: 'float32[2,6,64]', places: 'int64[2,6]' },
      outputs: { y: 'float32[2,6,64]' },
      nodes: [ms('RotaryEmbedding', ['x', 'places', 'cos', 'sin'], ['y'], { num_heads: 4 })],
      initializers: { cos: floats(64, 8), sin: floats(64, 8) },
    },
    feeds: { places: [0, 1, 2, 3, 4, 5, 9, 8, 7, 6, 5, 4] },
  },
  {
    name: 'MatMulNBits of 4 bits',
    model: {
      ...contrib,
      inputs: { x: 'float32[4,64]' },
      outputs: { y: 'float32[4,16]' },
      nodes: [ms('MatMulNBits', ['x', 'b', 's'], ['y'], { K: 64, N: 16, bits: 4, block_size: 32 })],
      initializers: { b: bytes('uint8', 16, 2, 16), s: floats(32) },
    },
    refusal: /must be FP16/,
  },
  nbits('MatMulNBits of 4 bits with zero points', { bits: 4, k: 96, zeros: bytes('uint8', 16, 2) }),
  nbits('MatMulNBits of 8 bits', { bits: 8, k: 64 }),
  nbits('MatMulNBits of 8 bits with zero points and a bias', {
    bits: 8,
    k: 64,
    zeros: bytes('uint8', 16, 2),
    bias: floats(16),
  }),
  { name: 'Q/DQ of uint8 around 128', model: quantizing(128, 128), refusal: /zero point/ },
  { name: 'Q/DQ of uint8 around other numbers', model: quantizing(113, 121), refusal: /zero point/ },
  {
    name: 'DynamicQuantizeLinear and MatMulInteger',
    model: {
      inputs: { x: 'float32[4,32]' },
      outputs: { y: 'float32[4,16]' },
      nodes: [
        { op: 'DynamicQuantizeLinear', inputs: ['x'], outputs: ['q', 's', 'z'] },
        { op: 'MatMulInteger', inputs: ['q', 'w', 'z', 'wz'], outputs: ['i'] },
        { op: 'Cast', inputs: ['i'], outputs: ['f'], attributes: { to: 1 } },
        { op: 'Mul', inputs: ['f', 's'], outputs: ['y'] },
      ],
      initializers: { w: bytes('int8', 32, 16), wz: one('int8', 3) },
    },
    refusal: /DynamicQuantizeLinear/,
  },
  {
    name: 'Attention with softcap',
    model: {
      opset: 24,
      irVersion: 10,
      inputs: { q: 'float32[1,4,6,16]', k: 'float32[1,2,8,16]', v: 'float32[1,2,8,16]' },
      outputs: { y: 'float32[1,4,6,16]' },
      nodes: [{ op: 'Attention', inputs: ['q', 'k', 'v'], outputs: ['y'], attributes: { softcap: { f: 2 } } }],
    },
    refusal: /softcap/,
  },
  {
    name: 'TensorScatter around the end',
    model: {
      opset: 24,
      irVersion: 10,
      inputs: { cache: 'float32[2,3,8,4]', update: 'float32[2,3,3,4]' },
      outputs: { y: 'float32[2,3,8,4]' },
      nodes: [
        { op: 'TensorScatter', inputs: ['cache', 'update', 'at'], outputs: ['y'], attributes: { mode: 'circular' } },
      ],
      initializers: { at: int64(2, 6) },
    },
    refusal: /circular/,
  },
]
