import { elementCount, type StoredDType } from '../../../runtime/dtype.ts'
import { tensorContent } from '../../onnx/content.ts'
import type { EditableModel, ScopeIndex } from '../../onnx/graph.ts'
import type { Node } from '../../onnx/proto.ts'
import type { Message } from '../../onnx/proto.ts'
import { tensorType } from '../../onnx/tensor.ts'
import type { ValueType } from '../../onnx/types.ts'
import { contentRange, misfit, smallest } from './content.ts'
import { halfLimits, type HalfDType, rangeOf, type ValueRange } from './rounding.ts'
import { boundedOperators, neutralOperators, sensitiveOperators, shrinkingOperators, wideOperators } from './rules.ts'

// Which values may be beyond the range of a 16-bit dtype, and why a node stays in fp32 because of them. A node's own
// limits go on to its results: a value that may be too large makes the next one too large, until an operator bounds it.

export interface RangeLimits {
  readonly dtype: HalfDType
  /** Largest magnitude of each value on samples of the user; undefined without samples. */
  readonly magnitudes?: ReadonlyMap<string, number> | undefined
  /** Magnitude on samples above which a value stays in fp32. */
  readonly maxValue: number
}

/** The values that a graph sees, its own and those from outside. */
export interface ValueFacts {
  readonly constants: Map<string, Message<'TensorProto'>>
  /** The number that a tensor is filled with, which is as good as a constant. */
  readonly fillings: Map<string, number>
  /** Values that have the 16-bit dtype. */
  readonly lowValues: Set<string>
  /** Values that may be beyond the range of float16. */
  readonly wide: Set<string>
  /** Values that may be too small for float16. */
  readonly fragile: Set<string>
}

/** One graph while its nodes are chosen. */
export interface RangeView {
  readonly facts: ValueFacts
  readonly limits: RangeLimits
  /** Whether the graph is a branch of an If, which samples do not cover. */
  readonly isBranch: boolean
  readonly constantRange: ConstantRange
}

/** The range of a float32 constant; undefined for one of another dtype. */
export type ConstantRange = (tensor: Message<'TensorProto'>) => Promise<ValueRange | undefined>

/** The float32 inputs and outputs of a node. */
export interface FloatPorts {
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
}

/** The same, and which of them would be lowered. */
export interface LowPorts extends FloatPorts {
  readonly lowInputs: readonly string[]
  readonly lowOutputs: readonly string[]
}

/** Facts of the main graph, before its nodes. */
export function newFacts(lowValues: Iterable<string>): ValueFacts {
  return {
    constants: new Map(),
    fillings: new Map(),
    lowValues: new Set(lowValues),
    wide: new Set(),
    fragile: new Set(),
  }
}

/** Facts of a graph, before its nodes, from those of the graph around it. */
export function factsInside(outside: ValueFacts, constants: ScopeIndex['constants']): ValueFacts {
  return {
    constants: new Map([...outside.constants, ...constants]),
    fillings: new Map(outside.fillings),
    lowValues: new Set(outside.lowValues),
    wide: new Set(outside.wide),
    fragile: new Set(outside.fragile),
  }
}

/** Reads the range of each constant once. */
export function constantRanges(model: EditableModel): ConstantRange {
  const ranges = new Map<Message<'TensorProto'>, Promise<ValueRange> | undefined>()
  return async (tensor) => {
    if (!ranges.has(tensor)) {
      const content = tensorType(tensor)?.dtype === 'float32' ? tensorContent(model, tensor) : undefined
      ranges.set(tensor, content && contentRange(content))
    }
    return ranges.get(tensor)
  }
}

/** Marks the result of a Cast from integers that float16 cannot hold. */
export function markCast(view: RangeView, result: string, source: ValueType | undefined): void {
  if (isGuessed(view) && typeof source === 'string' && wideIntegers.has(source)) view.facts.wide.add(result)
}

// Integers of more than a byte reach values that float16 cannot count to.
const wideIntegers: ReadonlySet<StoredDType> = new Set<StoredDType>([
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
])

/** Passes what is known of the inputs of a node on to its outputs. */
export function spreadLimits(node: Node, { inputs, outputs }: FloatPorts, { wide, fragile }: ValueFacts): void {
  if (inputs.some((name) => wide.has(name)) && carriesWide(node, wide)) for (const name of outputs) wide.add(name)
  if (inputs.some((name) => fragile.has(name)) && carriesFragile(node)) for (const name of outputs) fragile.add(name)
}

function carriesWide({ opType, input }: Node, wide: ReadonlySet<string>): boolean {
  // A quotient is not large because its divisor is.
  if (opType === 'Div') return wide.has(input[0] ?? '')
  return !boundedOperators.has(opType)
}

function carriesFragile({ opType }: Node): boolean {
  return sensitiveOperators.has(opType) ? opType !== 'Div' : neutralOperators.has(opType)
}

/** Why a constant keeps its node in fp32; marks the node's outputs accordingly. */
export async function constantReason(
  { opType }: Node,
  { lowInputs, outputs }: LowPorts,
  { facts, limits: { dtype }, constantRange }: RangeView,
): Promise<string | undefined> {
  for (const name of lowInputs) {
    const filling = facts.fillings.get(name)
    const tensor = facts.constants.get(name)
    const stored = filling === undefined && tensor ? await constantRange(tensor) : undefined
    const range = filling === undefined ? stored : rangeOf(Float32Array.of(filling))
    const problem = range && misfit(range, dtype)
    if (!range || problem === undefined) continue
    const isSmall = range.largest < halfLimits[dtype].normal && !range.special
    for (const output of outputs) (isSmall ? facts.fragile : facts.wide).add(output)
    if (!isSmall && boundedOperators.has(opType)) for (const output of outputs) facts.wide.delete(output)
    return `its constant ${name} ${problem}`
  }
  return undefined
}

/** Why the range of its values keeps a node in fp32; marks the node's outputs accordingly. */
export function rangeReason(
  { opType }: Node,
  { lowInputs, lowOutputs, outputs }: LowPorts,
  view: RangeView,
): string | undefined {
  const { facts, limits, isBranch } = view
  const { dtype, magnitudes, maxValue } = limits
  const large = [...lowInputs, ...lowOutputs].find((name) => (magnitudes?.get(name) ?? 0) > maxValue)
  if (large !== undefined) return `${large} reaches ${magnitudes?.get(large)?.toPrecision(3)} on the samples`
  if (isGuessed(view) && wideOperators.has(opType)) {
    if (!shrinkingOperators.has(opType)) for (const name of outputs) facts.wide.add(name)
    return `may overflow float16; ${isBranch ? 'samples do not cover branches' : 'add samples to find out'}`
  }
  const wide = isGuessed(view) ? lowInputs.find((name) => facts.wide.has(name)) : undefined
  if (wide !== undefined) return `its input ${wide} may be beyond the range of ${dtype}`
  const isFragile = dtype === 'float16' && sensitiveOperators.has(opType)
  if (isFragile && lowInputs.some((name) => facts.fragile.has(name))) return 'its input may be too small for float16'
  return undefined
}

/** Whether a node that only moves values is worth lowering: all that it moves is low, or it looks up a weight. */
export function isWorthMoving(values: readonly string[], { constants, fillings, lowValues }: ValueFacts): boolean {
  const moved = values.filter((name) => !constants.has(name) && !fillings.has(name))
  if (moved.length > 0) return moved.every((name) => lowValues.has(name))
  return values.some((name) => isWeight(constants.get(name)))
}

// A table of embeddings that is only looked up: half its size is worth a cast of the result.
function isWeight(tensor: Message<'TensorProto'> | undefined): boolean {
  const dims = (tensor && tensorType(tensor)?.dims) ?? []
  return 4 * elementCount(dims) >= smallest
}

// Only float16 has a range that must be guessed, where samples do not show it: in branches they never do.
function isGuessed({ limits: { dtype, magnitudes }, isBranch }: RangeView): boolean {
  return dtype === 'float16' && (!magnitudes || isBranch)
}
