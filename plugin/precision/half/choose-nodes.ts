import { elementCount, type StoredDType } from '../../../runtime/dtype.ts'
import { intAttribute } from '../../onnx/attribute.ts'
import { tensorContent } from '../../onnx/content.ts'
import {
  type Node,
  type ScopeIndex,
  type EditableModel,
  type Scope,
  indexScope,
  nodeName,
  bodies,
  declarations,
} from '../../onnx/graph.ts'
import { isMainDomain, type Message } from '../../onnx/proto.ts'
import { floatSignature } from '../../onnx/signatures.ts'
import { tensorType } from '../../onnx/tensor.ts'
import { inferTypes, mainOpset, type ValueTypes } from '../../onnx/types.ts'
import type { Kept } from '../pass.ts'
import { misfit, smallest, contentRange } from './content.ts'
import { fillingOf } from './filling.ts'
import { type HalfDType, type ValueRange, rangeOf, halfLimits } from './rounding.ts'
import {
  sensitiveOperators,
  neutralOperators,
  keptOperators,
  keptInBfloat16,
  keptWithInput,
  boundedOperators,
  wideOperators,
  shrinkingOperators,
  keptInputs,
} from './rules.ts'

/** The inputs and outputs of a node, by position, that get the new dtype. */
export interface LowSlots {
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
}

/** Which nodes are lowered, in their order, those of branches before their If, and why the others are not. */
export interface Choice {
  readonly low: ReadonlyMap<Node, LowSlots>
  readonly kept: readonly Kept[]
}

export interface ChoiceLimits {
  readonly dtype: HalfDType
  /** Largest magnitude of each value on samples of the user; undefined without samples. */
  readonly magnitudes?: ReadonlyMap<string, number> | undefined
  /** Magnitude on samples above which a value stays in fp32. */
  readonly maxValue: number
  /** How many products a node may sum up, where its weights tell. */
  readonly maxDepth: number
  /** Names of nodes that stay in fp32. */
  readonly pinned: ReadonlySet<string>
  /** Whether the inputs of the model will have the dtype. */
  readonly lowInputs?: boolean
}

/** Whether the bodies of a node are lowered as well: each runs at most once, on what stands outside. */
export function isBranching({ opType, domain }: Node): boolean {
  return opType === 'If' && isMainDomain(domain)
}

/** What is known of the values that a graph sees, its own and those from outside. */
interface Known {
  readonly constants: ScopeIndex['constants']
  /** What tensors are filled with that are as good as constants. */
  readonly fillings: ReadonlyMap<string, number>
  readonly lowValues: Set<string>
  /** Values that may be beyond the range of float16. */
  readonly wide: Set<string>
  /** Values that may be too small for float16. */
  readonly fragile: Set<string>
}

/**
 * Chooses in the order of each graph, which must be sorted; branches of If are graphs of their own. Where a value may
 * be out of the range of float16, the nodes that read it stay in fp32 as well, up to one whose result is small again:
 * nothing is ever cut to fit.
 */
export async function chooseNodes(model: EditableModel, limits: ChoiceLimits): Promise<Choice> {
  const types = inferTypes(model)
  const choice = { low: new Map<Node, LowSlots>(), kept: [] as Kept[] }
  const context = {
    types,
    opset: mainOpset(model.proto.opsetImport),
    constantRange: constantRanges(model),
    limits,
    ...choice,
  }
  const { graph } = model.proto
  const lowInputs = limits.lowInputs ? graph.input.map(({ name }) => name) : []
  await chooseInScope(
    { graph },
    { constants: new Map(), fillings: new Map(), lowValues: new Set(lowInputs), wide: new Set(), fragile: new Set() },
    context,
  )
  return choice
}

interface Context {
  readonly types: ValueTypes
  readonly opset: number
  readonly constantRange: (tensor: Message<'TensorProto'>) => Promise<ValueRange | undefined>
  readonly limits: ChoiceLimits
  readonly low: Map<Node, LowSlots>
  readonly kept: Kept[]
}

async function chooseInScope(scope: Scope, outside: Known, context: Context): Promise<Known> {
  const { types, opset, constantRange, limits, low, kept } = context
  const { dtype, magnitudes, pinned } = limits
  const constants = new Map([...outside.constants, ...indexScope(scope).constants])
  const fillings = new Map(outside.fillings)
  const [lowValues, wide, fragile] = [new Set(outside.lowValues), new Set(outside.wide), new Set(outside.fragile)]
  const typeOf = (name: string) => types.of(scope, name)
  // Only float16 has a range that must be guessed at, where samples tell nothing: in no branch they do.
  const guess = dtype === 'float16' && (!magnitudes || scope.parent !== undefined)

  for (const node of scope.graph.node) {
    const given = node.input.filter((name) => typeOf(name) === 'float32')
    const made = node.output.filter((name) => typeOf(name) === 'float32')
    if (node.opType === 'Cast') {
      const source = typeOf(node.input[0] ?? '')
      if (guess && made.length > 0 && typeof source === 'string' && wideIntegers.has(source)) wide.add(made[0]!)
      continue
    }
    const filling = fillingOf(node)
    if (filling !== undefined && !pinned.has(nodeName(node))) {
      fillings.set(node.output[0]!, filling)
      continue
    }
    const reason = isBranching(node)
      ? await joinBranches(node)
      : node.opType === 'Constant' || (given.length === 0 && made.length === 0)
        ? undefined
        : await refuse(node, given, made)
    if (reason !== undefined) kept.push({ name: nodeName(node), operator: node.opType, reason })
  }
  return { constants, fillings, lowValues, wide, fragile }

  // A result has the dtype when each branch makes it so: the cast back would only be undone behind it.
  async function joinBranches(node: Node): Promise<string | undefined> {
    const branches = []
    for (const graph of bodies(node))
      branches.push({
        graph,
        known: await chooseInScope(
          { graph, parent: scope, owner: node },
          { constants, fillings, lowValues, wide, fragile },
          context,
        ),
      })
    const outputs: number[] = []
    for (const [index, name] of node.output.entries()) {
      if (typeOf(name) !== 'float32') continue
      const results = branches.map(({ graph, known }) => ({
        own: declarations(graph),
        known,
        name: graph.output[index]?.name ?? '',
      }))
      if (results.some((result) => result.known.wide.has(result.name))) wide.add(name)
      if (results.some((result) => result.known.fragile.has(result.name))) fragile.add(name)
      const isLow =
        results.every((result) => result.own.has(result.name) && result.known.lowValues.has(result.name)) &&
        (magnitudes?.get(name) ?? 0) <= limits.maxValue
      if (!isLow || pinned.has(nodeName(node))) continue
      outputs.push(index)
      lowValues.add(name)
    }
    if (outputs.length > 0) low.set(node, { inputs: [], outputs })
    return outputs.length > 0 || !node.output.some((name) => typeOf(name) === 'float32')
      ? undefined
      : 'a branch of it gives fp32'
  }

  async function refuse(node: Node, given: readonly string[], made: readonly string[]): Promise<string | undefined> {
    const { opType } = node
    if (given.some((name) => wide.has(name)) && carriesWide(node, wide)) for (const name of made) wide.add(name)
    if (
      given.some((name) => fragile.has(name)) &&
      (sensitiveOperators.has(opType) ? opType !== 'Div' : neutralOperators.has(opType))
    ) {
      for (const name of made) fragile.add(name)
    }
    if (pinned.has(nodeName(node))) return 'pinned to fp32'
    if (!isMainDomain(node.domain)) return `nothing is known of operators of the domain ${node.domain}`
    const listed = dtype === 'bfloat16' ? { ...keptOperators, ...keptInBfloat16 } : keptOperators
    const fixed = Object.hasOwn(listed, opType) ? listed[opType] : undefined
    if (fixed) return fixed
    const limit = Object.hasOwn(keptWithInput, opType) ? keptWithInput[opType] : undefined
    if (limit && node.input[limit.input]) return limit.reason
    const slots = slotsOf(node, opset, dtype, typeOf)
    if (typeof slots === 'string') return slots
    const values = slots.inputs.map((index) => node.input[index]!)
    for (const name of values) {
      const tensor = constants.get(name)
      const filling = fillings.get(name)
      const range = filling !== undefined ? rangeOf(Float32Array.of(filling)) : tensor && (await constantRange(tensor))
      const trouble = range && misfit(range, dtype)
      if (trouble === undefined) continue
      const small = range!.largest < halfLimits[dtype].normal && !range!.special
      for (const output of made) (small ? fragile : wide).add(output)
      if (!small && boundedOperators.has(opType)) for (const output of made) wide.delete(output)
      return `its constant ${name} ${trouble}`
    }
    const depth = depthOf(node, constants)
    if (depth > limits.maxDepth) return `sums up ${depth} products`
    if (magnitudes) {
      const large = [...values, ...slots.outputs.map((index) => node.output[index]!)].find(
        (name) => (magnitudes.get(name) ?? 0) > limits.maxValue,
      )
      if (large !== undefined) return `${large} reaches ${magnitudes.get(large)!.toPrecision(3)} on the samples`
    }
    if (guess && wideOperators.has(opType)) {
      if (!shrinkingOperators.has(opType)) for (const name of made) wide.add(name)
      return `may outgrow float16; ${scope.parent ? 'samples tell nothing of a branch' : 'give samples to find out'}`
    }
    const outside = guess ? values.find((name) => wide.has(name)) : undefined
    if (outside !== undefined) return `its input ${outside} may be beyond the range of ${dtype}`
    if (dtype === 'float16' && sensitiveOperators.has(opType) && values.some((name) => fragile.has(name)))
      return 'its input may be too small for float16'
    if (neutralOperators.has(opType)) {
      const moved = values.filter((name) => !constants.has(name) && !fillings.has(name))
      const worth =
        moved.length > 0
          ? moved.every((name) => lowValues.has(name))
          : values.some((name) => isWeight(constants.get(name)))
      if (!worth) return 'stands among nodes that stay in fp32'
    }
    low.set(node, slots)
    for (const index of slots.outputs) lowValues.add(node.output[index]!)
    return undefined
  }
}

// A table of embeddings that is only looked up: half its size is worth a cast of what was found.
function isWeight(tensor: Message<'TensorProto'> | undefined): boolean {
  const dims = (tensor && tensorType(tensor)?.dims) ?? []
  return 4 * elementCount(dims) >= smallest
}

// Integers beyond a byte reach values that float16 cannot count to.
const wideIntegers: ReadonlySet<StoredDType> = new Set<StoredDType>([
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
])

function carriesWide({ opType, input }: Node, wide: ReadonlySet<string>): boolean {
  // A quotient is not large because its divisor is.
  if (opType === 'Div') return wide.has(input[0] ?? '')
  return !boundedOperators.has(opType)
}

/** The slots of a node that take the dtype, or why it cannot. */
function slotsOf(node: Node, opset: number, dtype: HalfDType, typeOf: (name: string) => unknown): LowSlots | string {
  const signature = floatSignature(node.opType, opset)
  if (!signature) return `there is no rule for its dtypes in opset ${opset}`
  const stays = keptInputs[node.opType] ?? []
  const sides = [
    ...node.input.map((name, index) => ({ side: 'inputs' as const, name, index, slot: signature.input(index) })),
    ...node.output.map((name, index) => ({ side: 'outputs' as const, name, index, slot: signature.output(index) })),
  ].filter(({ name, slot }) => name !== '' && slot)
  const unknown = sides.find(({ name }) => typeOf(name) === undefined)
  if (unknown) return `the dtype of ${unknown.name} is not known`
  const floats = sides.filter(({ name }) => typeOf(name) === 'float32')
  const refused = new Set(floats.filter(({ slot }) => !slot!.accepts.includes(dtype)).map(({ slot }) => slot!.variable))
  const lowered = floats.filter(
    ({ side, index, slot }) => !refused.has(slot!.variable) && !(side === 'inputs' && stays.includes(index)),
  )
  if (lowered.length === 0) return `opset ${opset} has no ${dtype} for it`
  const pick = (wanted: 'inputs' | 'outputs') => lowered.filter(({ side }) => side === wanted).map(({ index }) => index)
  return { inputs: pick('inputs'), outputs: pick('outputs') }
}

/** How many products each element of the result sums up, by the shape of constant weights; 0 when it does not show. */
function depthOf(node: Node, constants: ScopeIndex['constants']): number {
  const weight = constants.get(node.input[1] ?? '')
  const dims = (weight && tensorType(weight)?.dims) ?? []
  if (dims.length === 0) return 0
  if (node.opType === 'Conv') return elementCount(dims.slice(1))
  if (node.opType === 'MatMul') return dims.at(-2) ?? dims[0] ?? 0
  return node.opType === 'Gemm' ? (dims[intAttribute(node, 'transB') ? 1 : 0] ?? 0) : 0
}

function constantRanges(model: EditableModel): Context['constantRange'] {
  const known = new Map<Message<'TensorProto'>, Promise<ValueRange> | undefined>()
  return async (tensor) => {
    if (!known.has(tensor)) {
      const content = tensorType(tensor)?.dtype === 'float32' ? tensorContent(model, tensor) : undefined
      known.set(tensor, content && contentRange(content))
    }
    return known.get(tensor)
  }
}
