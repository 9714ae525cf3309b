import type { BackendName } from '../../../runtime/manifest.ts'

/** Q/DQ with a scale for each channel exist since opset 13. */
export const leastOpset = 13

/** A node with constant weights, as rules see it. */
export interface WeightedNode {
  readonly operator: string
  /** Dims of the weights, in the operator's own order. */
  readonly dims: readonly number[]
  readonly group: number
  /** Whether it works on the result of a global pool: one pixel for each channel. */
  readonly pooled: boolean
  /** Whether it reads an input of the model. */
  readonly first: boolean
  /** Whether each sample gave it one row of values. */
  readonly row: boolean
}

/** Where one backend needs Q/DQ. */
export interface Placement {
  /** `uint8` has a zero point, `int8` is symmetric with zero point 0. */
  readonly activations: 'uint8' | 'int8'
  /** Whether biases are int32 in the scale of the products. */
  readonly bias: boolean
  /** Whether all readers of a value read its quantized form, or only the nodes that compute in int8. */
  readonly readers: 'all' | 'quantized'
  /** Operators with constant weights that compute in int8, and whether their result must be quantized for it. */
  readonly compute: Readonly<Record<string, { readonly result: boolean }>>
  /**
   * Operators that continue in int8 when all their inputs are quantized: in the range of their input, or in their own.
   */
  readonly follow: Readonly<Record<string, 'same' | 'own'>>
  /** Which inputs of an Add of two branches are quantized. */
  readonly residual: 'none' | 'shortcut' | 'both'
  /** Operators that only move values: their quantized inputs and results share one scale. */
  readonly share: readonly string[]
  /** Why a product of two values, as in attention, stays in floating point. */
  readonly product: string
  readonly exclude: readonly { readonly reason: string; readonly matches: (node: WeightedNode) => boolean }[]
}

// Axes of the weights: Conv is [out, in / group, ...], ConvTranspose [in, out / group, ...], MatMul [K, N], Gemm as
// MatMul.
const convolution = (operator: string) => operator === 'Conv' || operator === 'ConvTranspose'
const isPadding = (count: number) => count < 16
const product = 'multiplies two values: only products with constant weights are quantized'

/**
 * The placements, with the reason for each choice. Sources:
 * onnxruntime/core/optimizer/qdq_transformer/selectors_actions (which groups become int8 kernels), NVIDIA Model
 * Optimizer's `quantization/ort_utils` and `graph_utils` (exclusions), OpenVINO's low precision transformations.
 */
export const placements = {
  onnxruntime: {
    // The kernels of MLAS multiply uint8 by int8; int8 by int8 costs a conversion on x64.
    activations: 'uint8',
    // QLinearConv and QGemm take no float bias.
    bias: true,
    // A value that is also read in float is computed once in int8 and dequantized, because a group with a second, float
    // result is not fused.
    readers: 'all',
    compute: {
      // QLinearConv needs a quantized result; QGemm and MatMulIntegerToFloat give float.
      Conv: { result: true },
      Gemm: { result: false },
      MatMul: { result: false },
    },
    follow: {
      // Kernels that only move bytes: the values stay on their grid.
      MaxPool: 'same',
      Reshape: 'same',
      Transpose: 'same',
      Flatten: 'same',
      Squeeze: 'same',
      Unsqueeze: 'same',
      // QLinearAdd, QLinearMul, QLinearConcat and pools rescale.
      Add: 'own',
      Mul: 'own',
      Concat: 'own',
      AveragePool: 'own',
      GlobalAveragePool: 'own',
    },
    residual: 'none',
    // If scales differ, QLinearConcat looks each byte up in a table while it copies: each input keeps its finer scale.
    share: [],
    product,
    exclude: [
      { reason: 'ONNX Runtime has no int8 kernel for it', matches: ({ operator }) => operator === 'ConvTranspose' },
      // The gates of squeeze-and-excitation blocks: an error there scales whole channels.
      {
        reason: 'works on one pixel: int8 would save little time and cost accuracy',
        matches: ({ operator, pooled }) => operator === 'Conv' && pooled,
      },
    ],
  },
  openvino: {
    activations: 'uint8',
    // The plugins quantize biases themselves.
    bias: false,
    readers: 'quantized',
    compute: {
      Conv: { result: false },
      ConvTranspose: { result: false },
      Gemm: { result: false },
      MatMul: { result: false },
    },
    follow: {},
    // An addition of two int8 tensors is fused into the convolution before it.
    residual: 'both',
    // Its low precision transformations align the scales of a concatenation themselves.
    share: [],
    product,
    exclude: [],
  },
  tensorrt: {
    // TensorRT takes int8 with zero point 0 and constant positive scales only.
    activations: 'int8',
    bias: false,
    readers: 'quantized',
    compute: {
      Conv: { result: false },
      ConvTranspose: { result: false },
      Gemm: { result: false },
      MatMul: { result: false },
    },
    follow: {},
    // The other branch is added in the accumulator of the convolution's kernel; Q/DQ there would prevent the fusion.
    residual: 'shortcut',
    // TensorRT moves the Q of the result before the operator, where it meets the Q of an input: with one scale the two
    // are one, with two scales each input is computed again. (Model Optimizer: `get_concat_eliminated_tensors`;
    // TensorRT: "Q/DQ Layer-Placement".)
    share: ['Concat', 'MaxPool', 'Reshape', 'Transpose', 'Flatten', 'Squeeze', 'Unsqueeze'],
    // Model Optimizer's `find_nodes_from_mha_to_exclude`.
    product:
      'multiplies two values, as attention does: fused attention takes any length in fp16, but at most 512 in int8',
    exclude: [
      // `find_nodes_from_matmul_to_exclude` and, for convolutions, `find_nodes_from_convs_to_exclude`.
      {
        reason: 'a product with a vector is bound by memory',
        matches: ({ operator, dims }) => !convolution(operator) && dims.includes(1),
      },
      {
        reason: 'K or N below 16 wastes most of a tensor core tile',
        matches: ({ operator, dims }) => !convolution(operator) && dims.some(isPadding),
      },
      {
        reason: 'each sample has one row for it: a product with a vector is bound by memory',
        matches: ({ operator, row }) => !convolution(operator) && row,
      },
      {
        reason: 'fewer than 16 channels waste most of a tensor core tile',
        matches: ({ operator, dims: [a = 0, b = 0, ...kernel], group, first }) => {
          if (!convolution(operator)) return false
          // Channels that one sum goes over, and those of the result.
          const [inputs, outputs] = operator === 'Conv' ? [b, a] : [a / group, b * group]
          if (!isPadding(outputs) && !isPadding(inputs)) return false
          if (group > 1) return outputs % 8 !== 0 || kernel.some((size) => size < 3)
          const square = kernel.every((size) => size === kernel[0])
          return !(
            square &&
            (inputs % 8 === 0 || outputs % 8 === 0) &&
            (first || !isPadding(inputs) || !isPadding(outputs))
          )
        },
      },
    ],
  },
} as const satisfies Partial<Record<BackendName, Placement>>

/**
 * The placement of a backend; undefined for one that supports int8 weights only, such as TensorRT-RTX, whose support
 * matrix has no int8 activations.
 */
export function placementOf(backend: BackendName): Placement | undefined {
  return (placements as Partial<Record<BackendName, Placement>>)[backend]
}
