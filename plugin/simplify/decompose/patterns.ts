import type { BackendName } from '../../../runtime/manifest.ts'
import type { Node } from '../../onnx/proto.ts'
import { decomposeAttention } from './attention.ts'
import {
  decomposeFusedAttention,
  decomposeGroupQueryAttention,
  decomposeMultiHeadAttention,
} from './contrib-attention.ts'
import {
  decomposeFastGelu,
  decomposeFusedMatMul,
  decomposeGelu,
  decomposeQuickGelu,
  decomposeSkipNormalization,
} from './contrib-fusions.ts'
import { decomposeDynamicLstm } from './dynamic-lstm.ts'
import {
  decomposeDynamicProduct,
  decomposeDynamicQuantize,
  decomposeIntegerProduct,
  decomposeScaledProduct,
  skipCast,
} from './integer-products.ts'
import type { Kit } from './kit.ts'
import { blockOpset, decomposeMatMulNBits } from './matmul-nbits.ts'
import { decomposeMove, moves } from './quantized-moves.ts'
import {
  channelOpset,
  decomposeQuantizedBinary,
  decomposeQuantizedConcat,
  decomposeQuantizedConv,
  decomposeQuantizedGemm,
  decomposeQuantizedMatMul,
  decomposeQuantizedUnary,
  decomposeQuantizedWhere,
} from './quantized-operators.ts'
import { decomposeDequantize, decomposeQuantize } from './quantized.ts'
import { decomposeRotary } from './rotary.ts'
import { decomposeTensorScatter } from './tensor-scatter.ts'

/** An operator that a compiler refuses or mistakes, and the standard operators instead of it. */
export interface Pattern {
  readonly backends: readonly BackendName[]
  /** What the compiler does with it. */
  readonly reason: string
  /** Whether it applies only to what other patterns have made. */
  readonly follows?: true
  /** The opset that the standard operators need. */
  readonly opset?: number
  /** Adds the nodes to use instead and returns true; returns false when this node cannot be expressed so. */
  readonly decompose: (node: Node, kit: Kit) => boolean
}

const nvidia = ['tensorrt', 'tensorrt-rtx'] as const
const all = [...nvidia, 'openvino'] as const

const integers = 'TensorRT has no products of integers'
const quantized = 'TensorRT has no operators from integers to integers, and OpenVINO few'
const points = 'TensorRT has int8 without zero points, and no uint8'
// OpenVINO has those that it is not listed for.
const foreign = 'an operator of ONNX Runtime, and TensorRT has few of them'

const moving: Pattern = {
  backends: nvidia,
  reason: 'integers that a pattern here computes as floats',
  decompose: decomposeMove,
  follows: true,
}

/** By domain and operator; the domain of ONNX's own operators is ''. */
export const patterns: Readonly<Record<string, Readonly<Record<string, Pattern>>>> = {
  '': {
    ...Object.fromEntries(moves.map((operator) => [operator, moving])),
    Attention: {
      backends: nvidia,
      reason: 'TensorRT-RTX 1.7 has it in 16 bits and for one output only, without softcap and with few masks',
      decompose: decomposeAttention,
    },
    Cast: {
      backends: nvidia,
      reason: 'integers that a pattern here computes as floats',
      decompose: skipCast,
      follows: true,
    },
    ConvInteger: { backends: nvidia, reason: integers, decompose: decomposeIntegerProduct },
    DequantizeLinear: { backends: nvidia, reason: points, decompose: decomposeDequantize },
    DynamicQuantizeLinear: { backends: nvidia, reason: integers, decompose: decomposeDynamicQuantize },
    MatMulInteger: { backends: nvidia, reason: integers, decompose: decomposeIntegerProduct },
    QLinearConv: { backends: all, reason: quantized, decompose: decomposeQuantizedConv, opset: channelOpset },
    QLinearMatMul: { backends: all, reason: quantized, decompose: decomposeQuantizedMatMul, opset: channelOpset },
    QuantizeLinear: { backends: nvidia, reason: points, decompose: decomposeQuantize },
    TensorScatter: {
      backends: nvidia,
      reason: 'TensorRT-RTX 1.7 has it for 4 dims and without mode=circular',
      decompose: decomposeTensorScatter,
    },
    RotaryEmbedding: {
      backends: ['openvino'],
      reason: 'OpenVINO 2026.4 computes other numbers',
      decompose: decomposeRotary,
    },
  },
  'com.microsoft': {
    Attention: { backends: nvidia, reason: foreign, decompose: decomposeFusedAttention },
    BiasGelu: { backends: nvidia, reason: foreign, decompose: decomposeGelu },
    DynamicQuantizeLSTM: { backends: all, reason: quantized, decompose: decomposeDynamicLstm },
    DynamicQuantizeMatMul: { backends: nvidia, reason: integers, decompose: decomposeDynamicProduct },
    FastGelu: { backends: nvidia, reason: foreign, decompose: decomposeFastGelu },
    FusedMatMul: { backends: nvidia, reason: foreign, decompose: decomposeFusedMatMul },
    Gelu: { backends: nvidia, reason: foreign, decompose: decomposeGelu },
    GroupQueryAttention: { backends: nvidia, reason: foreign, decompose: decomposeGroupQueryAttention },
    MatMulNBits: {
      backends: nvidia,
      reason: 'TensorRT-RTX 1.7 has it in 16 bits only',
      decompose: decomposeMatMulNBits,
      opset: blockOpset,
    },
    MatMulIntegerToFloat: { backends: nvidia, reason: integers, decompose: decomposeScaledProduct },
    MultiHeadAttention: { backends: all, reason: foreign, decompose: decomposeMultiHeadAttention },
    QGemm: { backends: all, reason: quantized, decompose: decomposeQuantizedGemm, opset: channelOpset },
    QLinearAdd: { backends: all, reason: quantized, decompose: decomposeQuantizedBinary },
    QLinearAveragePool: { backends: all, reason: quantized, decompose: decomposeQuantizedUnary },
    QLinearConcat: { backends: all, reason: quantized, decompose: decomposeQuantizedConcat },
    QLinearConv: { backends: all, reason: quantized, decompose: decomposeQuantizedConv, opset: channelOpset },
    QLinearGlobalAveragePool: { backends: all, reason: quantized, decompose: decomposeQuantizedUnary },
    QLinearLeakyRelu: { backends: all, reason: quantized, decompose: decomposeQuantizedUnary },
    QLinearMul: { backends: all, reason: quantized, decompose: decomposeQuantizedBinary },
    QLinearSigmoid: { backends: all, reason: quantized, decompose: decomposeQuantizedUnary },
    QLinearSoftmax: { backends: all, reason: quantized, decompose: decomposeQuantizedUnary },
    QLinearWhere: { backends: all, reason: quantized, decompose: decomposeQuantizedWhere },
    QuickGelu: { backends: nvidia, reason: foreign, decompose: decomposeQuickGelu },
    RotaryEmbedding: { backends: all, reason: foreign, decompose: decomposeRotary },
    SkipLayerNormalization: { backends: nvidia, reason: foreign, decompose: decomposeSkipNormalization },
    SkipSimplifiedLayerNormalization: { backends: nvidia, reason: foreign, decompose: decomposeSkipNormalization },
  },
}
