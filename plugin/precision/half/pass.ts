import { OnnxEngineError } from '../../../runtime/errors.ts'
import type { EditableModel } from '../../onnx/graph.ts'
import type { Model } from '../../onnx/model.ts'
import type { PrecisionPass } from '../pass.ts'
import type { HalfDType } from './rounding.ts'

// The graph toolkit is loaded when something has to be lowered: a build of hits only asks for keys.

// The opset that a graph is brought to before it is lowered. Cast knows bfloat16 since 13, most operators since 22;
// float16 was there before 7.
const neededOpset = { storage: { float16: 7, bfloat16: 13 }, compute: { float16: 7, bfloat16: 22 } } as const

/**
 * Stores weights in 16 bits. A Cast gives each its name and dtype back, so the graph computes in float32 with rounded
 * weights, and nothing else changes: bodies, functions and custom operators read what they always read.
 */
export function storagePass(dtype: HalfDType): PrecisionPass {
  return {
    describe({ model, options: { precision } }) {
      requireOpset(model)
      return { name: `store-${dtype}`, version: 1, options: { fp32: [...precision.fp32].sort() } }
    },
    async lower(graph, { options: { precision } }) {
      const { storeGraph } = await import('./store-weights.ts')
      await raiseOpset(graph, neededOpset.storage[dtype])
      return storeGraph(graph, dtype, new Set(precision.fp32))
    },
  }
}

/**
 * Lets the main graph and the branches of If compute in 16 bits wherever its operators and values allow. Bodies of Loop
 * and Scan, local functions and the inputs and outputs of the model stay in fp32. Casts stand only where the two dtypes
 * meet, one for each value; constants are cast now.
 */
export function computePass(dtype: HalfDType): PrecisionPass {
  return {
    async describe(request) {
      const {
        model,
        options: { precision, calibration },
      } = request
      requireOpset(model)
      // Samples tell ranges, and bfloat16 has that of float32.
      const samples =
        dtype === 'float16' && calibration
          ? await (await import('../../samples/find.ts')).modelSamples(request)
          : undefined
      return {
        name: `compute-${dtype}`,
        version: 6,
        options: {
          samples: samples?.digest ?? null,
          fp32: [...precision.fp32].sort(),
          maxDepth: precision.maxDepth ?? null,
        },
      }
    },
    async lower(graph, request) {
      const { lowerByRequest } = await import('./lower-graph.ts')
      await raiseOpset(graph, neededOpset.compute[dtype])
      return lowerByRequest(graph, dtype, request)
    },
  }
}

async function raiseOpset(graph: EditableModel, opset: number): Promise<void> {
  const { upgradeOpset } = await import('../../onnx/upgrade.ts')
  if (opset > 7 && !(await import('../already-lowered.ts')).untouched(graph)) upgradeOpset(graph, opset)
}

// Broadcasting had other rules before.
function requireOpset({ file, opsets }: Model): void {
  const opset = opsets[''] ?? Infinity
  if (opset >= 7) return
  throw new OnnxEngineError('PRECISION_UNSUPPORTED', file, {
    expected: 'opset 7 or newer',
    received: `opset ${opset}`,
    hint: 'Export the model with a newer opset, or use ?engine=fp32',
  })
}
