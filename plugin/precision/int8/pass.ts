import type { BackendName } from '../../../runtime/manifest.ts'
import type { PrecisionPass } from '../pass.ts'
import { placementOf } from './backend-rules.ts'
import { planInt8 } from './plan.ts'

// int8: static quantization and int8 weights, as passes. In the order of the work, plan.ts settles samples and method,
// quantize-graph.ts chooses the way by choose-method.ts, and quantize.ts goes it: prepare.ts folds and finds ranges,
// place.ts decides by backend-rules.ts which nodes compute in int8, correct-biases.ts and insert.ts change the graph.

/**
 * Static quantization of the main graph: Q/DQ where the backend's placement wants them, ranges from the user's samples.
 * Bodies of If, Loop and Scan stay in fp32. A backend that supports int8 weights only gets those.
 */
export const int8Pass: PrecisionPass = {
  async describe(request) {
    const placement = placementOf(request.backend)
    if (!placement) return int8WeightsPass.describe(request)
    const { samples, method, levels, tried } = await planInt8(request, placement)
    const percentile = request.options.calibration?.percentile ?? 100
    return {
      name: 'int8',
      version: 6,
      options: {
        placement: request.backend,
        samples: samples.digest,
        method: method ?? `best with ${tried}`,
        ...((method ?? 'percentile') === 'percentile' && { percentile }),
        levels,
        fp32: [...request.options.precision.fp32].sort(),
      },
    }
  },
  async lower(model, request) {
    const placement = placementOf(request.backend)
    if (placement)
      return (await import('./quantize-graph.ts')).quantizeGraph(model, request, await planInt8(request, placement))
    const lowered = await int8WeightsPass.lower(model, request)
    return {
      ...lowered,
      notes: [...lowered.notes, `${request.backend} supports int8 weights only: activations stay in floating point`],
    }
  },
  async forecast(model, request) {
    const placement = placementOf(request.backend)
    if (!placement) return int8WeightsPass.lower(model, request)
    return (await import('./quantize-graph.ts')).forecastPlaces(model, request, placement)
  },
}

/**
 * Stores the weights of products and convolutions in int8, symmetric, with a scale for each channel. Activations stay
 * in floating point.
 */
export const int8WeightsPass: PrecisionPass = {
  describe: ({ backend }) => ({ name: 'int8-weights', version: 1, options: { operators: weightOperators[backend] } }),
  lower: async (model, { backend }) =>
    (await import('./store-weights.ts')).quantizeWeights(model, weightOperators[backend]),
}

const products: readonly string[] = ['MatMul', 'Gemm']

const all: readonly string[] = [...products, 'Conv', 'ConvTranspose']

/**
 * The operators whose weights are stored in fewer bits. TensorRT has kernels for quantized weights of products only: it
 * would compute a convolution in floating point from weights that were rounded for nothing.
 */
export const weightOperators: Readonly<Record<BackendName, readonly string[]>> = {
  onnxruntime: all,
  openvino: all,
  tensorrt: products,
  'tensorrt-rtx': products,
  wasm: all,
  webgpu: products,
}
