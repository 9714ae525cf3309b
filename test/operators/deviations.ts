import type { TestedBackend } from './contract.ts'

const random = 'random by definition'
const corners = 'corners are aligned with the whole size of the output, as in PyTorch; ONNX takes a fraction of it'
const lowest = 'scores that the mask leaves out are the lowest float32 instead of -infinity'
const tie = 'one step of 255, where a number lies halfway between two'

/** Cases that run and give other outputs than ONNX expects, and why that is no reason to refuse them. */
export const deviations: Readonly<Record<TestedBackend, Readonly<Record<string, string>>>> = {
  // Engines of other libraries are compared with ONNX Runtime, so they must give the same.
  onnxruntime: {
    test_training_dropout: random,
    test_training_dropout_default: random,
    test_training_dropout_default_mask: random,
    test_training_dropout_mask: random,
    test_maxunpool_export_with_output_shape:
      'indices count in the shape that output_shape gives, as in PyTorch; ONNX counts in the shape before',
    test_resize_downsample_scales_linear_align_corners: corners,
    test_resize_downsample_scales_cubic_align_corners: corners,
    test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal: lowest,
    test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal: lowest,
  },
  openvino: {
    test_resize_downsample_scales_linear_align_corners: corners,
    test_resize_downsample_scales_cubic_align_corners: corners,
    test_dynamicquantizelinear: tie,
    test_dynamicquantizelinear_expanded: tie,
  },
}
