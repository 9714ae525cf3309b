import type { DType } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Binding, Bindings } from '../../runtime/manifest.ts'
import { fixBindings } from '../onnx/fix.ts'
import type { EditableModel } from '../onnx/graph.ts'
import type { CompileOptions, IoPrecision, Shapes } from '../options.ts'
import type { PrecisionPass } from './index.ts'

/** The dtype that each float32 input and output of a model gets. */
const ioDTypes = { fp32: 'float32', fp16: 'float16', bf16: 'bfloat16' } as const satisfies Record<IoPrecision, DType>

/** The bindings of an engine: those of its model, with the dims and the dtypes that the options say. */
export function engineBindings(
  bindings: Bindings,
  { shapes, io }: { readonly shapes: Shapes; readonly io: IoPrecision },
): Bindings {
  const cast = (binding: Binding): Binding =>
    binding.dtype === 'float32' ? { ...binding, dtype: ioDTypes[io] } : binding
  const { inputs, outputs } = fixBindings(bindings, shapes)
  return { inputs: inputs.map(cast), outputs: outputs.map(cast) }
}

/**
 * Refuses inputs and outputs of 16 bits for an engine of another precision: its values are fp32 there, and would only
 * be rounded.
 *
 * @throws OnnxEngineError PRECISION_UNSUPPORTED
 */
export function checkIo({ engine, precision: { io } }: CompileOptions, name: string): void {
  if (io === 'fp32' || io === engine) return
  throw new OnnxEngineError('PRECISION_UNSUPPORTED', `${name}: io=${io}`, {
    expected: `engine=${io}, or inputs and outputs as the model has them`,
    received: `engine=${engine}`,
    hint: `Import the model with ?engine=${io}&io=${io}, or leave io out of the query and of the option 'precision.io'`,
  })
}

/**
 * Gives the inputs and outputs of a lowered graph their fp32 back, rounded as before: ONNX Runtime's CPU feeds it so.
 */
export async function widenIo(graph: EditableModel, bindings: Bindings, io: IoPrecision): Promise<void> {
  const dtype = ioDTypes[io]
  if (dtype === 'float32') return
  const { castBindings } = await import('../onnx/cast-bindings.ts')
  castBindings(graph, floatBindings(bindings), { from: dtype, to: 'float32' })
}

/**
 * Lets a pass, or a backend that lowers by itself, give float32 inputs and outputs another dtype as well; the pass
 * itself when they stay.
 */
export function withIo(pass: PrecisionPass | undefined, io: IoPrecision): PrecisionPass | undefined {
  const dtype = ioDTypes[io]
  if (dtype === 'float32') return pass
  return {
    ...pass,
    async describe(request) {
      const { name, version, options } = (await pass?.describe(request)) ?? { name: 'io', version: 1, options: {} }
      return { name, version, options: { ...options, io: dtype } }
    },
    async lower(graph, request) {
      const lowered = (await pass?.lower(graph, request)) ?? {
        unit: 'nodes',
        total: 0,
        lowered: 0,
        kept: [],
        notes: [],
      }
      const { castBindings } = await import('../onnx/cast-bindings.ts')
      castBindings(graph, floatBindings(request.model.bindings), { from: 'float32', to: dtype })
      return lowered
    },
  }
}

// The names of the inputs and outputs that `io` is about.
function floatBindings({ inputs, outputs }: Bindings): ReadonlySet<string> {
  return new Set([...inputs, ...outputs].filter(({ dtype }) => dtype === 'float32').map(({ name }) => name))
}
