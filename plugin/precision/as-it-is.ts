import type { PrecisionPass } from './pass.ts'

/**
 * A pass for a model that rounds activations to integers: it leaves the graph as it is. The graph itself may no longer
 * show it, where integers are computed as floats for a compiler: those need all digits of fp32.
 *
 * @param operator the operator that rounds
 */
export function leavingAsItIs({ describe }: PrecisionPass, operator: string): PrecisionPass {
  const untouched = { unit: 'nodes', total: 0, lowered: 0, changed: [], kept: [] } as const
  return { describe, lower: async () => ({ ...untouched, notes: [quantizedText(operator)] }) }
}

/** A note for the user about a model that is quantized already. */
export function quantizedText(operator: string): string {
  return `is already quantized (${operator}), so it stays as it is`
}
