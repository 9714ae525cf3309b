import { elementCount } from '../../../runtime/dtype.ts'
import { intAttribute } from '../../onnx/attribute.ts'
import type { Content } from '../../onnx/bytes.ts'
import { nameMaker } from '../../onnx/edit.ts'
import { type EditableModel, indexScope, type Scope, type ScopeIndex } from '../../onnx/graph.ts'
import type { Node } from '../../onnx/proto.ts'
import { largestOf, scaledContent } from './channels.ts'
import { addConstant, addContent, floatNumbers, floatWeight, type GraphEditor, removeUnread } from './constants.ts'

/**
 * Scales the channels between two convolutions so that both have weights of the same range there (M. Nagel et al.,
 * "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section 4.1). One scale for a
 * whole activation then suits its small channels too. Factors are rounded to powers of two: then results in floating
 * point stay the same to the last bit. Activations between the two are those with f(s * x) = s * f(x) for s > 0, and
 * nobody else may read what is between.
 *
 * Returns the number of pairs that changed. The nodes of the graph must be sorted.
 */
export async function equalizeChannels(model: EditableModel, scope: Scope): Promise<number> {
  const index = indexScope(scope)
  const outputs = new Set(scope.graph.output.map(({ name }) => name))
  const filters = new Map<Node, Filter>()
  for (const node of scope.graph.node) {
    const filter = await filterOf(model, node, index)
    if (filter) filters.set(node, filter)
  }
  const pairs = [...filters].flatMap(([node, first]): Pair[] => {
    const second = filters.get(nextConvolution(node, index, outputs)!)
    return second && second.inputs === first.outputs ? [{ first, second }] : []
  })
  balance(pairs)
  const changed = pairs.filter(({ first }) => first.after.some((factor) => factor !== 1))
  const editor = { model, scope, newName: nameMaker(model) }
  for (const filter of new Set(changed.flatMap(({ first, second }) => [first, second]))) replace(editor, filter)
  removeUnread(scope, index.constants)
  return changed.length
}

/** The constant weights of a Conv, [outputs, inputs / groups, ...kernel], which no other node reads. */
interface Filter {
  readonly node: Node
  readonly dims: readonly number[]
  readonly content: Content
  readonly bias: Float32Array | undefined
  readonly inputs: number
  readonly outputs: number
  /** Largest magnitude of each kernel. */
  readonly kernels: Float64Array
  /** What each input channel is multiplied by, and each output channel. */
  readonly before: Float64Array
  readonly after: Float64Array
}

interface Pair {
  readonly first: Filter
  readonly second: Filter
}

async function filterOf(model: EditableModel, node: Node, index: ScopeIndex): Promise<Filter | undefined> {
  if (node.domain !== '' || node.opType !== 'Conv') return undefined
  const [, name = '', biasName] = node.input
  const weight = floatWeight(model, index.constants.get(name))
  const bias = biasName ? await floatNumbers(model, index.constants.get(biasName)) : undefined
  if (!weight || index.consumers.get(name)?.length !== 1 || (biasName && !bias)) return undefined
  const { dims, content } = weight
  const [outputs = 0, each = 0, ...kernel] = dims
  const inputs = each * (intAttribute(node, 'group') ?? 1)
  const kernels = await largestOf(content, { count: outputs * each, inner: elementCount(kernel) })
  const [before, after] = [new Float64Array(inputs).fill(1), new Float64Array(outputs).fill(1)]
  return { node, dims, content, bias: bias?.data, inputs, outputs, kernels, before, after }
}

const homogeneous: ReadonlySet<string> = new Set(['Relu', 'LeakyRelu', 'PRelu', 'Identity'])

function nextConvolution(node: Node, { consumers }: ScopeIndex, outputs: ReadonlySet<string>): Node | undefined {
  const [value = ''] = node.output
  const readers = consumers.get(value) ?? []
  const [reader] = readers
  if (!reader || readers.length !== 1 || outputs.has(value) || reader.domain !== '') return undefined
  if (reader.input.indexOf(value) !== 0 || reader.input.lastIndexOf(value) !== 0) return undefined
  if (reader.opType === 'Conv') return reader
  return homogeneous.has(reader.opType) ? nextConvolution(reader, { consumers } as ScopeIndex, outputs) : undefined
}

// Each pair moves its neighbours in a chain. Twenty rounds are enough for a chain of a hundred to settle.
const rounds = 20

function balance(pairs: readonly Pair[]): void {
  for (let round = 0; round < rounds; round++) {
    let moved = false
    for (const { first, second } of pairs) {
      const made = largestMade(first)
      const read = largestBy(second, 'inputs')
      made.forEach((large, channel) => {
        const factor = Math.sqrt(read[channel]! / large)
        // A channel of zeros, or one that is not finite, has no range.
        if (!(factor > 0 && factor < Infinity)) return
        const rounded = 2 ** Math.round(Math.log2(factor))
        if (rounded === 1) return
        moved = true
        first.after[channel]! *= rounded
        second.before[channel]! /= rounded
      })
    }
    if (!moved) return
  }
}

// With the bias: where weights are near zero, it alone is the activation.
function largestMade(first: Filter): Float64Array {
  return largestBy(first, 'outputs').map((large, channel) =>
    Math.max(large, Math.abs(first.bias?.[channel] ?? 0) * first.after[channel]!),
  )
}

// The largest magnitude of the weights that make each output channel, or that read each input channel.
function largestBy(filter: Filter, side: 'inputs' | 'outputs'): Float64Array {
  const largest = new Float64Array(filter[side])
  const factors = factorsOf(filter)
  filter.kernels.forEach((magnitude, kernel) => {
    const channel = channelsOf(filter, kernel)[side]
    largest[channel] = Math.max(largest[channel]!, magnitude * factors[kernel]!)
  })
  return largest
}

function factorsOf(filter: Filter): Float64Array {
  return filter.kernels.map((_, kernel) => {
    const { inputs, outputs } = channelsOf(filter, kernel)
    return filter.before[inputs]! * filter.after[outputs]!
  })
}

// A kernel reads one channel and adds to another; in a convolution of groups, of the same group.
function channelsOf({ dims, inputs, outputs }: Filter, kernel: number): { inputs: number; outputs: number } {
  const each = dims[1]!
  const output = Math.floor(kernel / each)
  const group = Math.floor(output / (outputs / (inputs / each)))
  return { inputs: group * each + (kernel % each), outputs: output }
}

function replace(editor: GraphEditor, filter: Filter): void {
  const { node, dims, content, bias, after, kernels } = filter
  const [input = '', name = ''] = node.input
  const channels = { count: kernels.length, inner: elementCount(dims.slice(2)) }
  const scaled = scaledContent(content, channels, factorsOf(filter))
  node.input = [input, addContent(editor, `${name}_equalized`, { dtype: 'float32', dims }, scaled)]
  if (!bias) return
  const shifts = bias.map((shift, channel) => shift * after[channel]!)
  node.input.push(addConstant(editor, `${name}_bias`, { dtype: 'float32', dims: [bias.length] }, shifts))
}
