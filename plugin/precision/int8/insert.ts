import { newAttribute } from '../../onnx/attribute.ts'
import { nameMaker, newNode, renameReads } from '../../onnx/edit.ts'
import { type EditableModel, indexScope, type Scope, type ScopeIndex } from '../../onnx/graph.ts'
import type { Placement } from './backend-rules.ts'
import { channelsAlong, int8Content, largestOf, roundEven } from './channels.ts'
import { addConstant, addContent, floatNumbers, floatWeight, removeUnread } from './constants.ts'
import type { Places, Weighted } from './place.ts'

/** How the numbers of one value become 8 bits: real = scale * (stored - zero). */
export interface Scale {
  readonly scale: number
  readonly zero: number
}

export interface Quantization {
  /** Largest stored magnitude of a weight: 127, or 63 for 7 bits. */
  readonly levels: 127 | 63
  readonly range: (value: string) => readonly [low: number, high: number]
}

/** The scale of a range. Zero is always a stored number, since padding with it must be exact. */
export function scaleOf([low, high]: readonly [number, number], activations: Placement['activations']): Scale {
  const [min, max] = [Math.min(0, low), Math.max(0, high)]
  const span = activations === 'int8' ? Math.max(-min, max) / 127 : (max - min) / 255
  // A value that is always 0 has any scale; the smallest normal number keeps kernels that divide by it finite.
  const scale = Math.max(Math.fround(span), 2 ** -100)
  return { scale, zero: activations === 'int8' ? 0 : Math.max(0, Math.min(255, roundEven(-min / scale))) }
}

/**
 * Puts QuantizeLinear and DequantizeLinear where `places` says, and replaces weights and biases. Nodes are left
 * unsorted.
 */
export async function insertQuantization(
  model: EditableModel,
  scope: Scope,
  places: Places,
  placement: Placement,
  { levels, range }: Quantization,
): Promise<void> {
  const { constants } = indexScope(scope)
  const newName = nameMaker(model)
  const scales = new Map<string, Scale>()
  for (const [, root] of places.values) scales.set(root, scaleOf(range(root), placement.activations))
  const weights = new Map<string, Promise<StoredWeight>>()
  for (const weighted of places.weighted) {
    const { node } = weighted
    const input = scales.get(places.values.get(node.input[0] ?? '') ?? '')
    const bias = placement.bias && node.input[2] ? await floatNumbers(model, constants.get(node.input[2])) : undefined
    const key = [weighted.weight, weighted.axis, ...(bias ? [node.input[0], node.input[2]] : [])].join('\n')
    const pending =
      weights.get(key) ??
      storeWeight(model, scope, weighted, levels, newName, bias && input && leastScales(bias.data, input.scale))
    weights.set(key, pending)
    const stored = await pending
    node.input[1] = dequantize(
      scope,
      newName,
      [stored.name, stored.scale, stored.zero],
      `${weighted.weight}_dequantized`,
      stored.axis,
    )
    if (bias && input)
      node.input[2] = storeBias(scope, newName, node.input[2] ?? '', bias.data, input.scale, stored.scales)
  }
  for (const tailed of places.tails) await dropTail(model, scope, tailed, scales, places, constants)
  const parameters = new Map<string, string[]>()
  for (const [root, { scale, zero }] of scales) {
    parameters.set(root, [
      addConstant(scope, newName(`${root}_scale`), { dtype: 'float32', dims: [] }, Float32Array.of(scale)),
      addConstant(
        scope,
        newName(`${root}_zero_point`),
        { dtype: placement.activations, dims: [] },
        Uint8Array.of(zero),
      ),
    ])
  }
  const renamed = new Map<string, string>()
  for (const [value, root] of places.values) {
    const result = wrap(scope, newName, value, parameters.get(root) ?? [], placement.readers === 'all')
    if (result !== value) renamed.set(value, result)
  }
  if (placement.readers === 'all') renameReads(scope, renamed, (node) => node.opType !== 'QuantizeLinear')
  else
    for (const [node, values] of places.readers)
      node.input = node.input.map((name) => (values.has(name) ? (renamed.get(name) ?? name) : name))
  removeUnread(scope, constants)
}

interface StoredWeight {
  readonly name: string
  readonly scale: string
  readonly zero: string
  readonly scales: Float32Array
  readonly axis: number
}

// int32 holds a bias of up to 2^31 products; half of it is left to what is added.
function leastScales(bias: Float32Array, inputScale: number): Float64Array {
  return Float64Array.from(bias, (value) => Math.abs(value) / (inputScale * 2 ** 30))
}

/** Stores weights in int8 with a scale for each channel, at least the ones given. */
export async function storeWeight(
  model: EditableModel,
  scope: Scope,
  { weight, dims, axis }: Pick<Weighted, 'weight' | 'dims' | 'axis'>,
  levels: number,
  newName: (base: string) => string,
  least?: Float64Array,
): Promise<StoredWeight> {
  const { content } = floatWeight(model, indexScope(scope).constants.get(weight))!
  const channels = channelsAlong(dims, axis)
  const largest = await largestOf(content, channels)
  const scales = Float32Array.from(largest, (value, channel) =>
    Math.max(value / levels, least?.[channel] ?? 0, 2 ** -100),
  )
  return {
    name: addContent(
      model,
      scope,
      newName(`${weight}_int8`),
      { dtype: 'int8', dims },
      int8Content(content, channels, scales),
    ),
    scale: addConstant(scope, newName(`${weight}_scale`), { dtype: 'float32', dims: [scales.length] }, scales),
    // The default, but without it ONNX Runtime makes no int8 kernel of a Gemm.
    zero: addConstant(
      scope,
      newName(`${weight}_zero_point`),
      { dtype: 'int8', dims: [scales.length] },
      new Int8Array(scales.length),
    ),
    scales,
    axis,
  }
}

function storeBias(
  scope: Scope,
  newName: (base: string) => string,
  name: string,
  bias: Float32Array,
  inputScale: number,
  weightScales: Float32Array,
): string {
  const scales = Float32Array.from(weightScales, (scale) => scale * inputScale)
  const stored = Int32Array.from(bias, (value, channel) =>
    Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, roundEven(value / scales[channel]!))),
  )
  const quantized = addConstant(scope, newName(`${name}_int32`), { dtype: 'int32', dims: [bias.length] }, stored)
  const scale = addConstant(scope, newName(`${name}_scale`), { dtype: 'float32', dims: [bias.length] }, scales)
  return dequantize(scope, newName, [quantized, scale], `${name}_dequantized`, 0)
}

/** Adds a DequantizeLinear along an axis and gives the name of its result. */
export function dequantize(
  scope: Scope,
  newName: (base: string) => string,
  inputs: string[],
  base: string,
  axis: number,
): string {
  const result = newName(base)
  scope.graph.node.push(
    newNode('DequantizeLinear', inputs, [result], { name: result, attribute: [newAttribute('axis', { int: axis })] }),
  )
  return result
}

// Stored numbers that end where a Relu or Clip would cut leave it nothing to do.
async function dropTail(
  model: EditableModel,
  scope: Scope,
  { node, tail }: Places['tails'][number],
  scales: ReadonlyMap<string, Scale>,
  { values }: Places,
  constants: ScopeIndex['constants'],
): Promise<void> {
  const [end = ''] = tail.output
  const stored = scales.get(values.get(end) ?? '')
  const bounds = await Promise.all([1, 2].map((at) => floatNumbers(model, constants.get(tail.input[at] ?? ''))))
  const [low, high] =
    tail.opType === 'Relu' ? [0, Infinity] : [bounds[0]?.data[0] ?? -Infinity, bounds[1]?.data[0] ?? Infinity]
  if (
    !stored ||
    stored.scale * (0 - stored.zero) < low - stored.scale / 2 ||
    stored.scale * (255 - stored.zero) > high + stored.scale / 2
  )
    return
  node.output = [end]
  scope.graph.node = scope.graph.node.filter((other) => other !== tail)
}

// Gives the name that readers of the value read instead.
function wrap(
  scope: Scope,
  newName: (base: string) => string,
  value: string,
  parameters: readonly string[],
  forAll: boolean,
): string {
  const quantized = newName(`${value}_quantized`)
  const maker =
    forAll && scope.graph.output.some(({ name }) => name === value)
      ? scope.graph.node.find(({ output }) => output.includes(value))
      : undefined
  const [from, to] = maker ? [newName(`${value}_float`), value] : [value, newName(`${value}_dequantized`)]
  // An output of the graph keeps its name: it is what comes out of DequantizeLinear, and all readers read that.
  if (maker) maker.output = maker.output.map((name) => (name === value ? from : name))
  scope.graph.node.push(
    newNode('QuantizeLinear', [from, ...parameters], [quantized], { name: quantized }),
    newNode('DequantizeLinear', [quantized, ...parameters], [to], { name: `${quantized}_back` }),
  )
  return to
}
