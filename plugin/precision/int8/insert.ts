import { newAttribute } from '../../onnx/attribute.ts'
import { newNode, renameReads } from '../../onnx/edit.ts'
import { indexScope, type ScopeIndex } from '../../onnx/graph.ts'
import type { Placement } from './backend-rules.ts'
import { channelsAlong, int8Content, largestOf, roundEven } from './channels.ts'
import { addConstant, addContent, floatNumbers, floatWeight, type GraphEditor, removeUnread } from './constants.ts'
import type { Places, Weighted } from './place.ts'
import { addQuantization, addScale, type Scale, type ScaleNames, scaleOf } from './scales.ts'

export interface Quantization {
  /** Largest stored magnitude of a weight: 127, or 63 for 7 bits. */
  readonly levels: 127 | 63
  readonly range: (value: string) => readonly [low: number, high: number]
}

type Scales = ReadonlyMap<string, Scale>

/**
 * Inserts QuantizeLinear and DequantizeLinear at `places`, and replaces weights and biases. The nodes are unsorted
 * afterwards.
 */
export async function insertQuantization(
  editor: GraphEditor,
  places: Places,
  placement: Placement,
  { levels, range }: Quantization,
): Promise<void> {
  const { constants } = indexScope(editor.scope)
  const scales = new Map<string, Scale>()
  for (const [, root] of places.values) scales.set(root, scaleOf(range(root), placement.activations))
  await replaceWeights(editor, places, scales, { levels, bias: placement.bias, constants })
  for (const tail of places.tails) {
    const stored = scales.get(places.values.get(tail.tail.output[0] ?? '') ?? '')
    if (stored) await dropTail(editor, tail, stored, constants)
  }
  wrapValues(editor, places, placement, scales)
  removeUnread(editor.scope, constants)
}

interface WeightOptions {
  readonly levels: number
  /** Whether biases become int32. */
  readonly bias: boolean
  readonly constants: ScopeIndex['constants']
}

async function replaceWeights(
  editor: GraphEditor,
  places: Places,
  scales: Scales,
  { levels, bias: quantizesBias, constants }: WeightOptions,
): Promise<void> {
  const users: User[] = []
  for (const weighted of places.weighted) {
    const { input: read } = weighted.node
    const root = places.values.get(read[0] ?? '') ?? ''
    const input = scales.get(root)
    const bias = quantizesBias && read[2] ? await floatNumbers(editor.model, constants.get(read[2])) : undefined
    users.push({ weighted, root, ...(bias && input && { bias: { name: read[2]!, data: bias.data, input } }) })
  }
  const weights = new Map<string, StoredWeight>()
  const biases = new Map<string, readonly [quantized: string, scale: string]>()
  for (const { weighted, root, bias } of users) {
    const { node, weight } = weighted
    const key = keyOf(weighted)
    const stored = weights.get(key) ?? (await storeWeight(editor, weighted, levels, leastOfAll(users, key)))
    weights.set(key, stored)
    node.input[1] = dequantizeWeight(editor, weight, stored)
    if (!bias) continue
    const biasKey = [key, root, bias.name].join('\n')
    const names =
      biases.get(biasKey) ?? storeBias(editor, bias.name, bias.data, biasScales(stored.scales, bias.input.scale))
    biases.set(biasKey, names)
    node.input[2] = dequantize(editor, [...names], `${bias.name}_dequantized`, 0)
  }
}

/** A node that computes in int8, the value whose range its input has, and its bias if that becomes int32. */
interface User {
  readonly weighted: Weighted
  readonly root: string
  readonly bias?: { readonly name: string; readonly data: Float32Array; readonly input: Scale }
}

function keyOf({ weight, axis }: Pick<Weighted, 'weight' | 'axis'>): string {
  return `${weight}\n${axis}`
}

/**
 * The least scales of weights that suit all their readers. In an unrolled recurrent net hundreds of steps read the same
 * weights, each with an input scale of its own: a copy for each would make the file several times as large.
 */
function leastOfAll(users: readonly User[], key: string): Float64Array | undefined {
  const all = users.flatMap(({ weighted, bias }) =>
    bias && keyOf(weighted) === key ? [leastScales(bias.data, bias.input.scale)] : [],
  )
  return all[0]?.map((_, channel) => Math.max(...all.map((least) => least[channel]!)))
}

/** The names of stored weights, their scales and zero points, and what they hold. */
export interface StoredWeight {
  readonly name: string
  readonly scale: string
  readonly zero: string
  readonly scales: Float32Array
  readonly axis: number
}

// int32 holds a bias of up to 2^31 products; half of that is left for the products themselves.
function leastScales(bias: Float32Array, inputScale: number): Float64Array {
  return Float64Array.from(bias, (value) => Math.abs(value) / (inputScale * 2 ** 30))
}

/** Stores weights in int8 with a scale for each channel, at least the ones given. */
export async function storeWeight(
  editor: GraphEditor,
  { weight, dims, axis }: Pick<Weighted, 'weight' | 'dims' | 'axis'>,
  levels: number,
  least?: Float64Array,
): Promise<StoredWeight> {
  const { content } = floatWeight(editor.model, indexScope(editor.scope).constants.get(weight))!
  const channels = channelsAlong(dims, axis)
  const largest = await largestOf(content, channels)
  const scales = Float32Array.from(largest, (value, channel) =>
    Math.max(value / levels, least?.[channel] ?? 0, 2 ** -100),
  )
  const perChannel = [scales.length]
  const bytes = int8Content(content, channels, scales)
  const name = addContent(editor, `${weight}_int8`, { dtype: 'int8', dims }, bytes)
  const scale = addConstant(editor, `${weight}_scale`, { dtype: 'float32', dims: perChannel }, scales)
  // The default, but without it ONNX Runtime makes no int8 kernel of a Gemm.
  const zeros = new Int8Array(scales.length)
  const zero = addConstant(editor, `${weight}_zero_point`, { dtype: 'int8', dims: perChannel }, zeros)
  return { name, scale, zero, scales, axis }
}

/** Adds the DequantizeLinear of stored weights and returns the name of its result. */
export function dequantizeWeight(
  editor: GraphEditor,
  weight: string,
  { name, scale, zero, axis }: StoredWeight,
): string {
  return dequantize(editor, [name, scale, zero], `${weight}_dequantized`, axis)
}

/** Stores weights in int8 once for all nodes that read them along the same axis; gives the name of what they read. */
export function storeOnce(
  editor: GraphEditor,
  levels: number,
): (weights: Pick<Weighted, 'weight' | 'dims' | 'axis'>) => Promise<string> {
  const stored = new Map<string, string>()
  return async (weights) => {
    const key = keyOf(weights)
    const name = stored.get(key) ?? dequantizeWeight(editor, weights.weight, await storeWeight(editor, weights, levels))
    stored.set(key, name)
    return name
  }
}

function biasScales(weightScales: Float32Array, inputScale: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(weightScales, (scale) => scale * inputScale)
}

function storeBias(
  editor: GraphEditor,
  name: string,
  bias: Float32Array,
  scales: Float32Array<ArrayBuffer>,
): readonly [quantized: string, scale: string] {
  const dims = [bias.length]
  const stored = Int32Array.from(bias, (value, channel) =>
    Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, roundEven(value / scales[channel]!))),
  )
  const quantized = addConstant(editor, `${name}_int32`, { dtype: 'int32', dims }, stored)
  return [quantized, addConstant(editor, `${name}_scale`, { dtype: 'float32', dims }, scales)]
}

function dequantize({ scope, newName }: GraphEditor, inputs: string[], base: string, axis: number): string {
  const result = newName(base)
  const attribute = [newAttribute('axis', { int: axis })]
  scope.graph.node.push(newNode('DequantizeLinear', inputs, [result], { name: result, attribute }))
  return result
}

// Stored numbers that end where a Relu or Clip would cut leave it nothing to do.
async function dropTail(
  { model, scope }: GraphEditor,
  { node, tail }: Places['tails'][number],
  { scale, zero }: Scale,
  constants: ScopeIndex['constants'],
): Promise<void> {
  const [low, high] = await boundsOf(tail)
  const startsBelow = scale * (0 - zero) < low - scale / 2
  const endsAbove = scale * (255 - zero) > high + scale / 2
  if (startsBelow || endsAbove) return
  node.output = [tail.output[0] ?? '']
  scope.graph.node = scope.graph.node.filter((other) => other !== tail)

  async function boundsOf({ opType, input }: typeof tail): Promise<[low: number, high: number]> {
    if (opType === 'Relu') return [0, Infinity]
    const [min, max] = await Promise.all([1, 2].map((at) => floatNumbers(model, constants.get(input[at] ?? ''))))
    return [min?.data[0] ?? -Infinity, max?.data[0] ?? Infinity]
  }
}

function wrapValues(editor: GraphEditor, places: Places, { activations, readers }: Placement, scales: Scales): void {
  const { scope } = editor
  const parameters = new Map<string, ScaleNames>()
  for (const [root, scale] of scales) parameters.set(root, addScale(editor, root, scale, activations))
  const renamed = new Map<string, string>()
  for (const [value, root] of places.values) {
    const result = wrap(editor, value, parameters.get(root)!, readers)
    if (result !== value) renamed.set(value, result)
  }
  if (readers === 'all') {
    renameReads(scope, renamed, (node) => node.opType !== 'QuantizeLinear')
    return
  }
  for (const [node, values] of places.readers)
    node.input = node.input.map((name) => (values.has(name) ? (renamed.get(name) ?? name) : name))
}

// Returns the name that readers of the value read instead.
function wrap(
  { scope, newName }: Pick<GraphEditor, 'scope' | 'newName'>,
  value: string,
  parameters: ScaleNames,
  readers: Placement['readers'],
): string {
  const { graph } = scope
  const quantized = newName(`${value}_quantized`)
  const isOutput = readers === 'all' && graph.output.some(({ name }) => name === value)
  const maker = isOutput ? graph.node.find(({ output }) => output.includes(value)) : undefined
  const from = maker ? newName(`${value}_float`) : value
  const to = maker ? value : newName(`${value}_dequantized`)
  // An output of the graph keeps its name: it becomes the result of DequantizeLinear, which all readers read.
  if (maker) maker.output = maker.output.map((name) => (name === value ? from : name))
  addQuantization({ scope }, parameters, { from, quantized, to })
  return to
}
