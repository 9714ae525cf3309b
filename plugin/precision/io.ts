import type { Bindings } from '../../runtime/manifest.ts'
import type { EditableModel } from '../onnx/graph.ts'
import { ioDTypes } from '../options/engine-bindings.ts'
import type { IoPrecision } from '../options/types.ts'
import type { PrecisionPass } from './pass.ts'

/**
 * Makes the inputs and outputs of a lowered graph fp32 again, rounded as before, so that ONNX Runtime's CPU can run it
 * on the samples of the fp32 model.
 */
export async function widenIo(graph: EditableModel, bindings: Bindings, io: IoPrecision): Promise<void> {
  const dtype = ioDTypes[io]
  if (dtype === 'float32') return
  const { castBindings } = await import('../onnx/cast-bindings.ts')
  castBindings(graph, floatBindings(bindings), { from: dtype, to: 'float32' })
}

/**
 * A pass that also changes the dtype of float32 inputs and outputs. `pass` may be undefined, for a backend that lowers
 * by itself. Returns `pass` itself when they stay float32.
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

// The names of the inputs and outputs that `io` applies to.
function floatBindings({ inputs, outputs }: Bindings): ReadonlySet<string> {
  return new Set([...inputs, ...outputs].filter(({ dtype }) => dtype === 'float32').map(({ name }) => name))
}
