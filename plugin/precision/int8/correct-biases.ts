import { indexScope, type ScopeIndex } from '../../onnx/graph.ts'
import type { Node } from '../../onnx/proto.ts'
import { addConstant, floatNumbers, type GraphEditor, removeUnread } from './constants.ts'
import type { Places, Weighted } from './place.ts'

/** What is added to the channels of a node's result, by the name of the result. */
export type BiasShifts = ReadonlyMap<string, Float32Array>

/**
 * Adds the mean error that int8 makes in each channel to the biases (M. Nagel et al., "Data-Free Quantization Through
 * Weight Equalization and Bias Correction", ICCV 2019, section 4.2; measured as in its appendix D). A product has its
 * bias in the Add that alone reads it; one without is left, since an Add of its own would cost time.
 *
 * Returns the number of nodes that changed. Call it before Q/DQ are inserted.
 */
export async function correctBiases(
  editor: GraphEditor,
  { weighted }: Pick<Places, 'weighted'>,
  shifts: BiasShifts,
): Promise<number> {
  const { model, scope } = editor
  const index = indexScope(scope)
  const outputs = new Set(scope.graph.output.map(({ name }) => name))
  let corrected = 0
  for (const one of weighted) {
    const shift = shifts.get(one.node.output[0] ?? '')
    const place = shift && biasPlace(one.node, index, outputs)
    if (!place) continue
    const { reader, at } = place
    const name = reader.input[at] ?? ''
    const bias = name ? await floatNumbers(model, index.constants.get(name)) : zeros(shift.length)
    if (!bias || bias.data.length !== shift.length || bias.dims.at(-1) !== shift.length) continue
    const sums = bias.data.map((value, channel) => value + shift[channel]!)
    const type = { dtype: 'float32' as const, dims: bias.dims }
    reader.input[at] = addConstant(editor, `${name || one.weight}_corrected`, type, sums)
    corrected++
  }
  removeUnread(scope, index.constants)
  return corrected
}

/** Whether a node with constant weights has a place for a bias. */
export function takesShift({ node }: Weighted, index: ScopeIndex, outputs: ReadonlySet<string>): boolean {
  return biasPlace(node, index, outputs) !== undefined
}

/** The node that adds the bias, and which of its inputs that is. */
interface BiasPlace {
  readonly reader: Node
  readonly at: number
}

function biasPlace(
  node: Node,
  { consumers, constants }: ScopeIndex,
  outputs: ReadonlySet<string>,
): BiasPlace | undefined {
  if (node.opType !== 'MatMul') return { reader: node, at: 2 }
  const [value = ''] = node.output
  const [reader, ...others] = consumers.get(value) ?? []
  if (!reader || others.length > 0 || outputs.has(value) || reader.domain !== '' || reader.opType !== 'Add')
    return undefined
  const at = 1 - reader.input.indexOf(value)
  return constants.has(reader.input[at] ?? '') ? { reader, at } : undefined
}

function zeros(length: number): { readonly dims: readonly number[]; readonly data: Float32Array } {
  return { dims: [length], data: new Float32Array(length) }
}
