import { intAttribute } from '../onnx/attribute.ts'
import { smallElements } from '../onnx/content.ts'
import { bodies, type EditableModel, indexScope, type ScopeIndex } from '../onnx/graph.ts'
import { isMainDomain, type Message, safeInteger } from '../onnx/proto.ts'
import { tensorType } from '../onnx/tensor.ts'
import { listsOf } from './input-lists.ts'

type Node = Message<'NodeProto'>

/**
 * Values that a model expects of an input. A type, not an interface: it is kept as JSON.
 *
 * - `index`: integers from `min` to `max`, because `reader` uses them as rows, lengths or counts;
 * - `lists`: one of these lists, such as the scales of a Resize;
 * - `mask`: zeros and ones, mostly ones;
 * - `image`: numbers from 0 to 255, which the model itself normalises;
 * - `guarded`: integers that decide a shape or an index in a way that is not known: zeros and ones;
 * - `divided`: integers that are divided: large ones, since a library that divides in float32 rounds those;
 * - `tied`: few different numbers, since libraries sort equal ones in different orders;
 * - `free`: any number.
 */
export type InputRange =
  | { readonly kind: 'index'; readonly min: number; readonly max: number; readonly reader: string }
  | { readonly kind: 'lists'; readonly lists: readonly (readonly number[])[] }
  | { readonly kind: 'mask' | 'image' | 'guarded' | 'divided' | 'tied' | 'free' }

/** What the readers of each graph input allow, by name, as far as the graph shows it. */
export function inputRanges(model: EditableModel): ReadonlyMap<string, InputRange> {
  const { graph } = model.proto
  const index = indexScope({ graph })
  const dims = new Map<string, readonly number[]>()
  for (const { name, type } of graph.input) dims.set(name, declaredDims(type))
  for (const [name, tensor] of index.constants) dims.set(name, tensorType(tensor)?.dims ?? [])
  return new Map(graph.input.map(({ name }) => [name, rangeOf(name, { index, dims })]))
}

function declaredDims(type: Message<'TypeProto'> | null | undefined): readonly number[] {
  return (type?.tensorType?.shape?.dim ?? []).map(({ dimValue }) => safeInteger(dimValue) ?? 0)
}

interface Surroundings {
  readonly index: ScopeIndex
  /** Dims of initializers, constants and inputs, by name; 0 where a dim is not known. */
  readonly dims: ReadonlyMap<string, readonly number[]>
}

/** A use of an input: by which node, at which of its inputs, and whether the values are still the input's own. */
interface Use {
  readonly node: Node
  readonly position: number
  readonly unchanged: boolean
}

function rangeOf(name: string, surroundings: Surroundings): InputRange {
  const uses = usesOf(name, surroundings.index)
  const lists = uses.flatMap(({ node, position, unchanged }) =>
    unchanged ? listsOf(node, position, surroundings.dims) : [],
  )
  if (lists.length > 0) return { kind: 'lists', lists }
  const bounds = uses.flatMap(({ node, position, unchanged }) => {
    const bound = unchanged ? boundOf(node, position, surroundings) : undefined
    return bound ? [{ ...bound, reader: node.opType }] : []
  })
  if (bounds.length > 0) {
    const min = Math.max(...bounds.map((bound) => bound.min))
    const max = Math.max(min, Math.min(...bounds.map((bound) => bound.max)))
    return { kind: 'index', min, max, reader: [...new Set(bounds.map(({ reader }) => reader))].join(', ') }
  }
  if (/(?:^|[^a-z])mask/i.test(name)) return { kind: 'mask' }
  if (uses.some((use) => normalisesBytes(use, surroundings.index))) return { kind: 'image' }
  if (uses.some(({ node, position }) => decidesShapes(node, position))) return { kind: 'guarded' }
  if (uses.some(({ node, position, unchanged }) => unchanged && position === 0 && node.opType === 'TopK'))
    return { kind: 'tied' }
  if (uses.some(({ node, unchanged }) => unchanged && isDivision(node))) return { kind: 'divided' }
  return { kind: 'free' }
}

/** Operators whose output has the values of one input, in another order, shape or dtype. */
const carriers: ReadonlySet<string> = new Set(
  (
    'Identity Cast CastLike Unsqueeze Squeeze Reshape Flatten Expand Transpose Slice Concat Tile Split Gather ' +
    'Dropout'
  ).split(' '),
)

const mostUses = 2000

/** Every use of an input, directly and through nodes that compute with it; stops where the graph is too large. */
function usesOf(name: string, { consumers }: ScopeIndex): readonly Use[] {
  const uses: Use[] = []
  const seen = new Set<string>()
  const queue = [{ value: name, unchanged: true }]
  for (const { value, unchanged } of queue) {
    if (seen.has(`${value} ${unchanged}`) || uses.length > mostUses) continue
    seen.add(`${value} ${unchanged}`)
    for (const node of consumers.get(value) ?? []) {
      const position = node.input.indexOf(value)
      uses.push({ node, position, unchanged })
      const carried = unchanged && position === 0 && carriers.has(node.opType)
      for (const output of node.output) queue.push({ value: output, unchanged: carried })
    }
  }
  return uses
}

interface Bound {
  readonly min: number
  readonly max: number
}

type BoundRule = (node: Node, surroundings: Surroundings) => Bound | undefined

/** Rows of the data at an axis: those of an initializer, or of an input with static dims. */
function rowsOf(data: number, defaultAxis = 0): BoundRule {
  return (node, { dims }) => {
    const shape = dims.get(node.input[data] ?? '') ?? []
    const axis = intAttribute(node, 'axis') ?? defaultAxis
    const rows = shape.at(axis)
    return rows ? { min: 0, max: rows - 1 } : undefined
  }
}

const few: BoundRule = () => ({ min: 1, max: 4 })
const start: BoundRule = () => ({ min: 0, max: 1 })
const limit: BoundRule = () => ({ min: 4, max: 9 })
const divisor: BoundRule = () => ({ min: 1, max: 7 })

/** What an integer may be, by operator and by which of its inputs it is. */
const boundRules: Readonly<Record<string, Readonly<Record<number, BoundRule>>>> = {
  Gather: { 1: rowsOf(0) },
  GatherElements: { 1: rowsOf(0) },
  GatherND: { 1: smallestOf(0) },
  ScatterElements: { 1: rowsOf(0) },
  ScatterND: { 1: smallestOf(0) },
  OneHot: { 0: depthOf, 1: () => ({ min: 2, max: 8 }) },
  TopK: { 1: (node, surroundings) => countUpTo(rowsOf(0, -1)(node, surroundings)) },
  DFT: { 2: signalAxis },
  BlackmanWindow: { 0: limit },
  HammingWindow: { 0: limit },
  HannWindow: { 0: limit },
  Div: { 1: divisor },
  Mod: { 1: divisor },
  Range: { 0: start, 1: limit, 2: () => ({ min: 1, max: 2 }) },
  Reshape: { 1: few },
  Expand: { 1: few },
  Tile: { 1: few },
  ConstantOfShape: { 0: few },
  NonMaxSuppression: { 2: () => ({ min: 1, max: 20 }) },
  LSTM: { 4: lengthOf },
  GRU: { 4: lengthOf },
  RNN: { 4: lengthOf },
  ReverseSequence: { 1: lengthOf },
  Slice: { 1: start, 2: limit },
  Loop: { 0: few },
  // Of com.microsoft the positions come second, of opset 23 last.
  RotaryEmbedding: { 1: rowsOf(2), 3: rowsOf(1) },
  EmbedLayerNormalization: { 0: rowsOf(2), 1: rowsOf(4) },
}

function boundOf(node: Node, position: number, surroundings: Surroundings): Bound | undefined {
  const rules = Object.hasOwn(boundRules, node.opType) ? boundRules[node.opType] : undefined
  return rules?.[position]?.(node, surroundings)
}

function smallestOf(data: number): BoundRule {
  return (node, { dims }) => {
    const shape = (dims.get(node.input[data] ?? '') ?? []).filter((dim) => dim > 0)
    return shape.length > 0 ? { min: 0, max: Math.min(...shape) - 1 } : undefined
  }
}

/** Any axis but the first, which is the batch, and the last, which holds real and imaginary parts. */
function signalAxis(node: Node, { dims }: Surroundings): Bound | undefined {
  const rank = dims.get(node.input[0] ?? '')?.length ?? 0
  return rank > 2 ? { min: 1, max: rank - 2 } : undefined
}

function depthOf(node: Node, { index }: Surroundings): Bound | undefined {
  const depth = index.constants.get(node.input[1] ?? '')
  const value = depth && smallElements(depth)?.[0]
  return value === undefined ? { min: 0, max: 1 } : { min: 0, max: Math.max(0, Number(value) - 1) }
}

/** A sequence may be as long as the first dim of what it describes; 1 when that is not known. */
function lengthOf(node: Node, { dims }: Surroundings): Bound {
  const length = dims.get(node.input[0] ?? '')?.[0] ?? 0
  return { min: 1, max: Math.max(1, length) }
}

/** Large counts show more than one. */
function countUpTo(rows: Bound | undefined): Bound {
  const max = rows ? Math.max(1, Math.min(rows.max, 8)) : 4
  return { min: Math.ceil(max / 2), max }
}

const shapeInputs: Readonly<Record<string, readonly number[]>> = {
  ...Object.fromEntries(
    Object.entries(boundRules).map(([operator, rules]) => [operator, Object.keys(rules).map(Number)]),
  ),
  Resize: [1, 2, 3],
  Upsample: [1],
  Pad: [1, 3],
  Slice: [1, 2, 3, 4],
  Unsqueeze: [1],
  Squeeze: [1],
  Split: [1],
  RandomNormalLike: [0],
  If: [0],
  CenterCropPad: [1],
  GridSample: [1],
  MaxUnpool: [1, 2],
  Col2Im: [1, 2],
  Trilu: [1],
}

function decidesShapes(node: Node, position: number): boolean {
  const positions = Object.hasOwn(shapeInputs, node.opType) ? shapeInputs[node.opType] : undefined
  if (positions) return positions.includes(position)
  // An operator of another domain, and the body of a node, may do anything.
  return !isMainDomain(node.domain) || bodies(node).length > 0
}

function isDivision({ opType, domain }: Node): boolean {
  return isMainDomain(domain) && (opType === 'Div' || opType === 'Mod')
}

/** Whether a node brings bytes of an image to about 1: it divides by 100 or more, or subtracts a mean of 50 or more. */
function normalisesBytes({ node, position, unchanged }: Use, { constants }: ScopeIndex): boolean {
  if (!unchanged || position !== 0) return false
  const other = constants.get(node.input[1] ?? '')
  const value = other && Number(smallElements(other)?.[0] ?? Number.NaN)
  if (value === undefined || Number.isNaN(value)) return false
  if (node.opType === 'Div') return value >= 100
  if (node.opType === 'Mul') return value > 0 && value <= 0.02
  return node.opType === 'Sub' && value >= 50 && value <= 255
}
