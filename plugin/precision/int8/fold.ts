import { floatAttribute, intAttribute } from '../../onnx/attribute.ts'
import type { Content } from '../../onnx/bytes.ts'
import { nameMaker } from '../../onnx/edit.ts'
import { type EditableModel, indexScope, type Scope, type ScopeIndex } from '../../onnx/graph.ts'
import type { Node } from '../../onnx/proto.ts'
import { type Channels, channelsAlong, scaledContent } from './channels.ts'
import { addConstant, addContent, floatNumbers, floatWeight, type GraphEditor, removeUnread } from './constants.ts'

/** y = factor * x + shift for each channel. */
interface Affine {
  readonly factors: Float64Array
  readonly shifts: Float64Array
}

/**
 * Folds the nodes that scale and shift the channels of a convolution's result (BatchNormalization, and Mul, Div, Add or
 * Sub of a constant) into its weights and bias. Compilers do this themselves, but no longer once a DequantizeLinear is
 * in front of the weights. The result keeps the name of the last value.
 */
export async function foldConvolutions(model: EditableModel, scope: Scope): Promise<void> {
  const index = indexScope(scope)
  const editor = { model, scope, newName: nameMaker(model) }
  const outputs = new Set(scope.graph.output.map(({ name }) => name))
  const removed = new Set<Node>()
  for (const node of scope.graph.node) {
    const convolution = await convolutionOf(model, node, index)
    if (!convolution) continue
    const total = identityOf(convolution)
    const before = node.output[0]
    for (let next = soleReader(node, index, outputs); next; next = soleReader(node, index, outputs)) {
      const affine = await affineOf({ node: next, value: node.output[0] ?? '' }, convolution, model, index)
      if (!affine) break
      append(total, affine)
      node.output = [next.output[0] ?? '']
      removed.add(next)
    }
    if (node.output[0] !== before) replaceWeights(editor, node, convolution, total)
  }
  scope.graph.node = scope.graph.node.filter((node) => !removed.has(node))
  removeUnread(scope, index.constants)
}

/** A convolution with constant float32 weights. */
interface Convolution {
  readonly dims: readonly number[]
  readonly content: Content
  readonly channels: Channels
  readonly bias: Float32Array | undefined
}

async function convolutionOf(
  model: EditableModel,
  node: Node,
  { constants }: ScopeIndex,
): Promise<Convolution | undefined> {
  const axis = outputAxis(node)
  const weight = axis === undefined ? undefined : floatWeight(model, constants.get(node.input[1] ?? ''))
  if (axis === undefined || !weight) return undefined
  const bias = node.input[2] ? await floatNumbers(model, constants.get(node.input[2])) : undefined
  if (node.input[2] && !bias) return undefined
  return { ...weight, channels: channelsAlong(weight.dims, axis), bias: bias?.data }
}

function identityOf({ channels: { count }, bias }: Convolution): Affine {
  const factors = new Float64Array(count).fill(1)
  return { factors, shifts: Float64Array.from(factors, (_, channel) => bias?.[channel] ?? 0) }
}

// Changes `total` to what it and then `next` do.
function append({ factors, shifts }: Affine, next: Affine): void {
  for (let channel = 0; channel < factors.length; channel++) {
    factors[channel]! *= next.factors[channel]!
    shifts[channel] = shifts[channel]! * next.factors[channel]! + next.shifts[channel]!
  }
}

function replaceWeights(
  editor: GraphEditor,
  node: Node,
  { dims, content, channels }: Convolution,
  { factors, shifts }: Affine,
): void {
  const [input = '', name = ''] = node.input
  const scaled = scaledContent(content, channels, factors)
  const weights = addContent(editor, `${name}_folded`, { dtype: 'float32', dims }, scaled)
  const type = { dtype: 'float32' as const, dims: [channels.count] }
  node.input = [input, weights, addConstant(editor, `${name}_bias`, type, Float32Array.from(shifts))]
}

// The axis of the output channels in the weights of a convolution.
function outputAxis(node: Node): 0 | 1 | undefined {
  if (node.domain !== '') return undefined
  if (node.opType === 'Conv') return 0
  return node.opType === 'ConvTranspose' && (intAttribute(node, 'group') ?? 1) === 1 ? 1 : undefined
}

function soleReader(
  { output: [value = ''] }: Node,
  { consumers }: ScopeIndex,
  outputs: ReadonlySet<string>,
): Node | undefined {
  const readers = consumers.get(value) ?? []
  return readers.length === 1 && !outputs.has(value) ? readers[0] : undefined
}

/** What a node does to a value that it reads, when that is one factor and shift for each channel. */
async function affineOf(
  { node, value }: { readonly node: Node; readonly value: string },
  { dims, channels: { count } }: Convolution,
  model: EditableModel,
  index: ScopeIndex,
): Promise<Affine | undefined> {
  if (node.domain !== '' || node.input.filter((name) => name === value).length !== 1) return undefined
  if (node.opType === 'BatchNormalization') return normalization(model, node, value, index)
  const at = node.input.indexOf(value)
  const other = await floatNumbers(model, index.constants.get(node.input[1 - at] ?? ''))
  const numbers = other && perChannel(other, count, dims.length)
  if (!numbers) return undefined
  const ones = new Float64Array(count).fill(1)
  const zeros = new Float64Array(count)
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

// The numbers of a constant that broadcasts to [N,C,...] as one number, or as one for each channel.
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
