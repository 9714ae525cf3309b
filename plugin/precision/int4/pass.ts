import type { BackendName } from '../../../runtime/manifest.ts'
import type { PrecisionPass } from '../pass.ts'
import type { Form } from './store.ts'

/**
 * Stores large constant matrices of products, and of embeddings where the backend looks them up, in 4 bits by blocks;
 * other weights of products and convolutions in int8, as `int8-weights` does. Activations stay in floating point.
 */
export const int4WeightsPass: PrecisionPass = {
  describe: ({ backend, options }) => ({
    name: 'int4-weights',
    version: 1,
    options: { ...forms[backend], fp32: [...options.precision.fp32].sort() },
  }),
  lower: async (model, { backend, options }) =>
    (await import('./store-weights.ts')).storeWeights(model, {
      ...forms[backend],
      backend,
      pinned: options.precision.fp32,
    }),
}

/** How a backend takes them, and the tables of embeddings: the same, or in int8 with a scale for each row. */
export interface Int4Form {
  readonly form: Form
  readonly tables: 'int4' | 'int8'
}

// TensorRT has no zero points. OpenVINO and TensorRT unfold a table of blocks to floats when they compile it.
const forms: Readonly<Record<BackendName, Int4Form>> = {
  onnxruntime: { form: 'operators', tables: 'int4' },
  wasm: { form: 'operators', tables: 'int4' },
  webgpu: { form: 'operators', tables: 'int4' },
  openvino: { form: 'blocks', tables: 'int8' },
  tensorrt: { form: 'symmetric blocks', tables: 'int8' },
  'tensorrt-rtx': { form: 'symmetric blocks', tables: 'int8' },
}
