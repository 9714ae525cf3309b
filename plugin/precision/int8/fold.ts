import { floatAttribute, intAttribute } from '../../onnx/attribute.ts'
import { nameMaker } from '../../onnx/edit.ts'
import { type Node, type EditableModel, indexScope, type Scope, type ScopeIndex } from '../../onnx/graph.ts'
import { channelsAlong, scaledContent } from './channels.ts'
import { addConstant, addContent, floatNumbers, floatWeight, removeUnread } from './constants.ts'

/** y = factor * x + shift for each channel. */
interface Affine {
  readonly factors: Float64Array
  readonly shifts: Float64Array
}

/**
 * Puts what multiplies and shifts the channels of a convolution's result (BatchNormalization, and Mul, Div, Add or Sub
 * of a constant) into its weights and bias. Compilers do so themselves, but not any more when a DequantizeLinear stands
 * before the weights. The result keeps the name of the last value.
 */
export async function foldConvolutions(model: EditableModel, scope: Scope): Promise<void> {
  const index = indexScope(scope)
  const newName = nameMaker(model)
  const outputs = new Set(scope.graph.output.map(({ name }) => name))
  const removed = new Set<Node>()
  for (const node of scope.graph.node) {
    const place = weightPlace(node)
    const weight = place && floatWeight(model, index.constants.get(node.input[1] ?? ''))
    if (!place || !weight) continue
    const channels = channelsAlong(weight.dims, place.axis)
    const bias = node.input[2] ? await floatNumbers(model, index.constants.get(node.input[2])) : undefined
    if (node.input[2] && !bias) continue
    const factors = new Float64Array(channels.count).fill(1)
    const shifts = Float64Array.from({ length: channels.count }, (_, channel) => bias?.data[channel] ?? 0)
    const before = node.output[0]
    for (let next = soleReader(node, index, outputs); next; next = soleReader(node, index, outputs)) {
      const affine = await affineOf(model, next, node.output[0] ?? '', channels.count, weight.dims.length, index)
      if (!affine) break
      for (let channel = 0; channel < channels.count; channel++) {
        factors[channel]! *= affine.factors[channel]!
        shifts[channel] = shifts[channel]! * affine.factors[channel]! + affine.shifts[channel]!
      }
      node.output = [next.output[0] ?? '']
      removed.add(next)
    }
    if (node.output[0] === before) continue
    const { dims } = weight
    const stem = node.input[1] ?? ''
    node.input = [
      node.input[0] ?? '',
      addContent(
        model,
        scope,
        newName(`${stem}_folded`),
        { dtype: 'float32', dims },
        scaledContent(weight.content, channels, factors),
      ),
      addConstant(
        scope,
        newName(`${stem}_bias`),
        { dtype: 'float32', dims: [channels.count] },
        Float32Array.from(shifts),
      ),
    ]
  }
  scope.graph.node = scope.graph.node.filter((node) => !removed.has(node))
  removeUnread(scope, index.constants)
}

// The axis of the output channels.
function weightPlace(node: Node): { axis: number } | undefined {
  if (node.domain !== '') return undefined
  if (node.opType === 'Conv') return { axis: 0 }
  return node.opType === 'ConvTranspose' && (intAttribute(node, 'group') ?? 1) === 1 ? { axis: 1 } : undefined
}

function soleReader(
  { output: [value = ''] }: Node,
  { consumers }: ScopeIndex,
  outputs: ReadonlySet<string>,
): Node | undefined {
  const readers = consumers.get(value) ?? []
  return readers.length === 1 && !outputs.has(value) ? readers[0] : undefined
}

async function affineOf(
  model: EditableModel,
  node: Node,
  value: string,
  count: number,
  rank: number,
  index: ScopeIndex,
): Promise<Affine | undefined> {
  if (node.domain !== '' || node.input.filter((name) => name === value).length !== 1) return undefined
  if (node.opType === 'BatchNormalization') return normalization(model, node, value, index)
  const at = node.input.indexOf(value)
  const other = await floatNumbers(model, index.constants.get(node.input[1 - at] ?? ''))
  const numbers = other && perChannel(other, count, rank)
  if (!numbers) return undefined
  const [ones, zeros] = [new Float64Array(count).fill(1), new Float64Array(count)]
  if (node.opType === 'Add') return { factors: ones, shifts: numbers }
  if (node.opType === 'Mul') return { factors: numbers, shifts: zeros }
  if (node.opType === 'Sub' && at === 0) return { factors: ones, shifts: numbers.map((number) => -number) }
  if (node.opType === 'Div' && at === 0) return { factors: numbers.map((number) => 1 / number), shifts: zeros }
  return undefined
}

async function normalization(
  model: EditableModel,
  node: Node,
  value: string,
  { constants }: ScopeIndex,
): Promise<Affine | undefined> {
  if (node.input[0] !== value || node.output.filter(Boolean).length !== 1 || intAttribute(node, 'training_mode') === 1)
    return undefined
  const [scale, shift, mean, variance] = await Promise.all(
    [1, 2, 3, 4].map((at) => floatNumbers(model, constants.get(node.input[at] ?? ''))),
  )
  if (!scale || !shift || !mean || !variance) return undefined
  const epsilon = floatAttribute(node, 'epsilon') ?? 1e-5
  const factors = Float64Array.from(
    scale.data,
    (number, channel) => number / Math.sqrt(variance.data[channel]! + epsilon),
  )
  return { factors, shifts: factors.map((factor, channel) => shift.data[channel]! - mean.data[channel]! * factor) }
}

// A constant that broadcasts to [N,C,...] as one number, or as one for each channel.
function perChannel(
  { dims, data }: { dims: readonly number[]; data: Float32Array },
  count: number,
  rank: number,
): Float64Array | undefined {
  if (dims.length > rank) return undefined
  if (data.length === 1) return new Float64Array(count).fill(data[0]!)
  const padded = [...Array<number>(rank - dims.length).fill(1), ...dims]
  return padded[1] === count && data.length === count ? Float64Array.from(data) : undefined
}
