import { newNode } from '../../onnx/edit.ts'
import type { Placement } from './backend-rules.ts'
import { roundEven } from './channels.ts'
import { addConstant, type GraphEditor } from './constants.ts'

/** How the numbers of one value become 8 bits: real = scale * (stored - zero). */
export interface Scale {
  readonly scale: number
  readonly zero: number
}

/** The scale of a range. Zero is always a stored number, since padding with it must be exact. */
export function scaleOf([low, high]: readonly [number, number], activations: Placement['activations']): Scale {
  const min = Math.min(0, low)
  const max = Math.max(0, high)
  const span = activations === 'int8' ? Math.max(-min, max) / 127 : (max - min) / 255
  // A value that is always 0 can have any scale; with a normal number, kernels that divide by it stay finite.
  const scale = Math.max(Math.fround(span), 2 ** -100)
  return { scale, zero: activations === 'int8' ? 0 : Math.max(0, Math.min(255, roundEven(-min / scale))) }
}

/** The constants that hold a scale and its zero point. */
export type ScaleNames = readonly [scale: string, zero: string]

/** Adds the constants of a value's scale. */
export function addScale(
  editor: GraphEditor,
  value: string,
  { scale, zero }: Scale,
  activations: Placement['activations'],
): ScaleNames {
  return [
    addConstant(editor, `${value}_scale`, { dtype: 'float32', dims: [] }, Float32Array.of(scale)),
    addConstant(editor, `${value}_zero_point`, { dtype: activations, dims: [] }, Uint8Array.of(zero)),
  ]
}

/** Adds the QuantizeLinear of a value and the DequantizeLinear of that. */
export function addQuantization(
  { scope }: Pick<GraphEditor, 'scope'>,
  parameters: ScaleNames,
  { from, quantized, to }: { readonly from: string; readonly quantized: string; readonly to: string },
): void {
  scope.graph.node.push(
    newNode('QuantizeLinear', [from, ...parameters], [quantized], { name: quantized }),
    newNode('DequantizeLinear', [quantized, ...parameters], [to], { name: `${quantized}_back` }),
  )
}
