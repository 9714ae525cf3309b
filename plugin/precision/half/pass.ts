import { OnnxEngineError } from '../../../runtime/errors.ts'
import type { EditableModel } from '../../onnx/graph.ts'
import type { Model } from '../../onnx/model.ts'
import type { PrecisionPass } from '../pass.ts'
import type { HalfDType } from './rounding.ts'

// fp16 and bf16: the two ways to use 16 bits, weights only or computing too, as passes. The other files of this room
// decide what stays in fp32 (choose-nodes.ts, with rules.ts and value-limits.ts), rewrite the graph (rewrite-nodes.ts,
// store-weights.ts), and compute in fp32 what a device does in 16 bits (emulate.ts).
//
// They are loaded only when something has to be lowered: a build of cache hits asks for keys and nothing else.

// The opset that a graph is converted to before it is lowered. Cast takes bfloat16 since 13, most operators since 22;
// float16 is older than 7.
const neededOpset = { storage: { float16: 7, bfloat16: 13 }, compute: { float16: 7, bfloat16: 22 } } as const

/**
 * Stores weights in 16 bits. A Cast turns each back into float32 under its old name, so the graph computes in float32
 * with rounded weights and nothing else changes: bodies, functions and custom operators read the same values as
 * before.
 */
export function storagePass(dtype: HalfDType): PrecisionPass {
  return {
    describe({ model, options: { precision } }) {
      requireOpset(model)
      return { name: `store-${dtype}`, version: 2, options: { fp32: [...precision.fp32].sort() } }
    },
    async lower(graph, { options: { precision } }) {
      const { storeGraph } = await import('./store-weights.ts')
      await raiseOpset(graph, neededOpset.storage[dtype])
      return storeGraph(graph, dtype, new Set(precision.fp32))
    },
  }
}

/**
 * Makes the main graph and the branches of If compute in 16 bits wherever operators and values allow it. Bodies of Loop
 * and Scan, local functions and the inputs and outputs of the model stay in fp32. There are casts only where the two
 * dtypes meet, one for each value; constants are cast at build time.
 */
export function computePass(dtype: HalfDType): PrecisionPass {
  return {
    async describe(request) {
      const {
        model,
        options: { precision, calibration },
      } = request
      requireOpset(model)
      // Samples show ranges, and bfloat16 has the range of float32.
      const samples =
        dtype === 'float16' && calibration
          ? await (await import('../../samples/find.ts')).modelSamples(request)
          : undefined
      return {
        name: `compute-${dtype}`,
        version: 8,
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
  if (opset > 7 && !(await import('../already-lowered.ts')).alreadyLowered(graph)) upgradeOpset(graph, opset)
}

// Before opset 7 broadcasting had other rules.
function requireOpset({ file, opsets }: Model): void {
  const opset = opsets[''] ?? Infinity
  if (opset >= 7) return
  throw new OnnxEngineError('PRECISION_UNSUPPORTED', file, {
    expected: 'opset 7 or newer',
    received: `opset ${opset}`,
    hint: 'Export the model with a newer opset, or use ?engine=fp32',
  })
}
