import { elementCount } from '../../../runtime/dtype.ts'
import { intAttribute } from '../../onnx/attribute.ts'
import {
  type ScopeIndex,
  type EditableModel,
  type Scope,
  indexScope,
  nodeName,
  bodies,
  declarations,
} from '../../onnx/graph.ts'
import type { Node } from '../../onnx/proto.ts'
import { isMainDomain, type Message } from '../../onnx/proto.ts'
import { floatSignature } from '../../onnx/signatures.ts'
import { tensorType } from '../../onnx/tensor.ts'
import { inferTypes, mainOpset, type ValueType, type ValueTypes } from '../../onnx/types.ts'
import type { Kept } from '../pass.ts'
import { fillingOf } from './filling.ts'
import { preciseNodes } from './precise-values.ts'
import { keptInBfloat16, keptInputs, keptOperators, keptWithInput, neutralOperators } from './rules.ts'
import {
  type FloatPorts,
  type RangeLimits,
  type RangeView,
  type ValueFacts,
  constantRanges,
  constantReason,
  factsInside,
  isWorthMoving,
  markCast,
  newFacts,
  rangeReason,
  spreadLimits,
} from './value-limits.ts'

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

export interface ChoiceLimits extends RangeLimits {
  /** Most products that a node may add up, as far as its weights show it. */
  readonly maxDepth: number
  /** Names of nodes that stay in fp32. */
  readonly pinned: ReadonlySet<string>
  /** Whether the inputs of the model will have the dtype. */
  readonly lowInputs?: boolean
}

/** Whether the bodies of a node are lowered as well: each runs at most once, on values from outside. */
export function isBranching({ opType, domain }: Node): boolean {
  return opType === 'If' && isMainDomain(domain)
}

/**
 * Decides what stays in fp32. Goes through each graph in its order, which must be sorted; branches of If are graphs of
 * their own. Where a value may be out of the range of float16, the nodes that read it stay in fp32 as well, up to one
 * whose result is small again: no value is ever clamped to fit.
 */
export async function chooseNodes(model: EditableModel, limits: ChoiceLimits): Promise<Choice> {
  const { graph } = model.proto
  const choice = { low: new Map<Node, LowSlots>(), kept: [] as Kept[] }
  const context = {
    model,
    types: inferTypes(model),
    opset: mainOpset(model.proto.opsetImport),
    constantRange: constantRanges(model),
    limits,
    ...choice,
  }
  const lowInputs = limits.lowInputs ? graph.input.map(({ name }) => name) : []
  await chooseInScope({ graph }, newFacts(lowInputs), context)
  return choice
}

interface Context {
  readonly model: EditableModel
  readonly types: ValueTypes
  readonly opset: number
  readonly constantRange: RangeView['constantRange']
  readonly limits: ChoiceLimits
  readonly low: Map<Node, LowSlots>
  readonly kept: Kept[]
}

/** One graph while its nodes are chosen. */
interface ScopeContext extends Context, RangeView {
  readonly limits: ChoiceLimits
  readonly scope: Scope
  readonly typeOf: (name: string) => ValueType | undefined
  readonly precise: ReadonlyMap<Node, string>
}

async function chooseInScope(scope: Scope, outside: ValueFacts, context: Context): Promise<ValueFacts> {
  const facts = factsInside(outside, indexScope(scope).constants)
  const typeOf = (name: string) => context.types.of(scope, name)
  const precise = await preciseNodes(context.model, scope, context.types, context.limits.dtype)
  const inScope = { ...context, scope, facts, typeOf, precise, isBranch: scope.parent !== undefined }
  for (const node of scope.graph.node) {
    const reason = await chooseNode(node, inScope)
    if (reason !== undefined) context.kept.push({ name: nodeName(node), operator: node.opType, reason })
  }
  return facts
}

/** Chooses one node; returns why it stays in fp32, or undefined when it is lowered or has no floats. */
async function chooseNode(node: Node, context: ScopeContext): Promise<string | undefined> {
  const isFloat = (name: string) => context.typeOf(name) === 'float32'
  const floats = { inputs: node.input.filter(isFloat), outputs: node.output.filter(isFloat) }
  if (node.opType === 'Cast') {
    const [result] = floats.outputs
    if (result !== undefined) markCast(context, result, context.typeOf(node.input[0] ?? ''))
    return undefined
  }
  const filling = fillingOf(node)
  if (filling !== undefined && !context.limits.pinned.has(nodeName(node))) {
    context.facts.fillings.set(node.output[0]!, filling)
    return undefined
  }
  if (isBranching(node)) return chooseInBranches(node, floats.outputs, context)
  if (node.opType === 'Constant' || floats.inputs.length + floats.outputs.length === 0) return undefined
  return lowerOrKeep(node, floats, context)
}

// A result has the dtype when it has it in each branch: otherwise its cast back would only be undone behind the If.
async function chooseInBranches(
  node: Node,
  floatOutputs: readonly string[],
  context: ScopeContext,
): Promise<string | undefined> {
  const { scope, facts, limits, low } = context
  const branches: { graph: Message<'GraphProto'>; facts: ValueFacts }[] = []
  for (const graph of bodies(node)) {
    const branch = { graph, parent: scope, owner: node }
    branches.push({ graph, facts: await chooseInScope(branch, facts, context) })
  }
  const outputs: number[] = []
  for (const [index, name] of node.output.entries()) {
    if (!floatOutputs.includes(name)) continue
    const results = branches.map((branch) => ({ ...branch, name: branch.graph.output[index]?.name ?? '' }))
    if (results.some((result) => result.facts.wide.has(result.name))) facts.wide.add(name)
    if (results.some((result) => result.facts.fragile.has(result.name))) facts.fragile.add(name)
    const isLow = results.every(
      (result) => declarations(result.graph).has(result.name) && result.facts.lowValues.has(result.name),
    )
    const isSmall = (limits.magnitudes?.get(name) ?? 0) <= limits.maxValue
    if (!isLow || !isSmall || limits.pinned.has(nodeName(node))) continue
    outputs.push(index)
    facts.lowValues.add(name)
  }
  if (outputs.length > 0) low.set(node, { inputs: [], outputs })
  return outputs.length > 0 || floatOutputs.length === 0 ? undefined : 'one of its branches returns fp32'
}

async function lowerOrKeep(node: Node, floats: FloatPorts, context: ScopeContext): Promise<string | undefined> {
  const { facts, limits, low } = context
  spreadLimits(node, floats, facts)
  const fixed = operatorReason(node, limits) ?? context.precise.get(node)
  if (fixed !== undefined) return fixed
  const slots = slotsOf(node, context)
  if (typeof slots === 'string') return slots
  const lowInputs = slots.inputs.map((index) => node.input[index]!)
  const lowOutputs = slots.outputs.map((index) => node.output[index]!)
  const ports = { ...floats, lowInputs, lowOutputs }
  const constant = await constantReason(node, ports, context)
  if (constant !== undefined) return constant
  const depth = depthOf(node, facts.constants)
  if (depth > limits.maxDepth) return `adds up ${depth} products`
  const range = rangeReason(node, ports, context)
  if (range !== undefined) return range
  if (neutralOperators.has(node.opType) && !isWorthMoving(lowInputs, facts)) return 'all its neighbours stay in fp32'
  low.set(node, slots)
  for (const name of lowOutputs) facts.lowValues.add(name)
  return undefined
}

/** Why a node stays in fp32 whatever its values are. */
function operatorReason(node: Node, { dtype, pinned }: ChoiceLimits): string | undefined {
  const { opType, domain, input } = node
  if (pinned.has(nodeName(node))) return 'pinned to fp32'
  if (!isMainDomain(domain)) return `operators of the domain ${domain} are unknown`
  const listed = dtype === 'bfloat16' ? { ...keptOperators, ...keptInBfloat16 } : keptOperators
  if (Object.hasOwn(listed, opType)) return listed[opType]
  const limit = Object.hasOwn(keptWithInput, opType) ? keptWithInput[opType] : undefined
  return limit && input[limit.input] ? limit.reason : undefined
}

/** The slots of a node that take the dtype, or why it cannot. */
function slotsOf(node: Node, { opset, limits: { dtype }, typeOf }: ScopeContext): LowSlots | string {
  const signature = floatSignature(node.opType, opset)
  if (!signature) return `there is no rule for its dtypes in opset ${opset}`
  const stays = Object.hasOwn(keptInputs, node.opType) ? (keptInputs[node.opType] ?? []) : []
  const sides = [
    ...node.input.map((name, index) => ({ side: 'inputs' as const, name, index, slot: signature.input(index) })),
    ...node.output.map((name, index) => ({ side: 'outputs' as const, name, index, slot: signature.output(index) })),
  ].filter(({ name, slot }) => name !== '' && slot)
  const unknown = sides.find(({ name }) => typeOf(name) === undefined)
  if (unknown) return `the dtype of ${unknown.name} is unknown`
  const floats = sides.filter(({ name }) => typeOf(name) === 'float32')
  const refused = new Set(floats.filter(({ slot }) => !slot!.accepts.includes(dtype)).map(({ slot }) => slot!.variable))
  const lowered = floats.filter(
    ({ side, index, slot }) => !refused.has(slot!.variable) && !(side === 'inputs' && stays.includes(index)),
  )
  if (lowered.length === 0) return `opset ${opset} has no ${dtype} for it`
  const pick = (wanted: 'inputs' | 'outputs') => lowered.filter(({ side }) => side === wanted).map(({ index }) => index)
  return { inputs: pick('inputs'), outputs: pick('outputs') }
}

/** How many products each element of the result adds up, by the shape of constant weights; 0 when that is unknown. */
function depthOf(node: Node, constants: ScopeIndex['constants']): number {
  const weight = constants.get(node.input[1] ?? '')
  const dims = (weight && tensorType(weight)?.dims) ?? []
  if (dims.length === 0) return 0
  if (node.opType === 'Conv') return elementCount(dims.slice(1))
  if (node.opType === 'MatMul') return dims.at(-2) ?? dims[0] ?? 0
  return node.opType === 'Gemm' ? (dims[intAttribute(node, 'transB') ? 1 : 0] ?? 0) : 0
}
