import { dtypes } from '../../../runtime/dtype.ts'
import { newAttribute } from '../../onnx/attribute.ts'
import { tensorContent, setContent } from '../../onnx/content.ts'
import { nameMaker, sortNodes, newNode, renameReads } from '../../onnx/edit.ts'
import { type EditableModel, type Scope, type ScopeIndex, indexScope, declarations, bodies } from '../../onnx/graph.ts'
import type { Node } from '../../onnx/proto.ts'
import { newMessage, isMainDomain } from '../../onnx/proto.ts'
import { tensorType } from '../../onnx/tensor.ts'
import { inferTypes, type ValueType, type ValueTypes } from '../../onnx/types.ts'
import { type LowSlots, isBranching } from './choose-nodes.ts'
import { halfContent } from './content.ts'
import { fillingOf, halfFilling } from './filling.ts'
import type { HalfDType } from './rounding.ts'

/**
 * Gives the chosen nodes their 16-bit values, in place, in branches of If too. A value keeps its name for its fp32
 * form. There are casts only where the two dtypes meet, one for each value; a value from outside a branch is cast
 * outside, for both branches.
 */
export function rewriteNodes(model: EditableModel, low: ReadonlyMap<Node, LowSlots>, dtype: HalfDType): void {
  const context = { model, types: inferTypes(model), newName: nameMaker(model), low, dtype }
  rewriteScope({ graph: model.proto.graph }, [], context)
}

interface Context {
  readonly model: EditableModel
  readonly types: ValueTypes
  readonly newName: (base: string) => string
  readonly low: ReadonlyMap<Node, LowSlots>
  readonly dtype: HalfDType
}

/** Returns the name of the 16-bit form of a value, and makes that form when there is none. */
type LowForm = (value: string) => string

/**
 * @param lowOutputs outputs of a branch, by position, that get the dtype
 * @param outer finds the low forms of values from outside
 */
function rewriteScope(scope: Scope, lowOutputs: readonly number[], context: Context, outer?: LowForm): void {
  const { model, types, newName, low, dtype } = context
  const { graph } = scope
  const chosen = graph.node.flatMap((node) => {
    const slots = low.get(node)
    return slots ? [{ node, ...slots }] : []
  })
  const lowMade = new Set(chosen.flatMap(({ node, outputs }) => outputs.map((index) => node.output[index]!)))
  const lows = new Map([...lowMade].map((value) => [value, newName(`${value}_${dtype}`)]))
  const castsToLow = graph.node.filter((node) => isCast(node) && types.of(scope, node.output[0]!) === dtype)
  for (const { input, output } of castsToLow) if (!lows.has(input[0]!)) lows.set(input[0]!, output[0]!)
  const lowForm = lowFormsOf(scope, lows, context, outer)

  const branching = graph.node.filter(isBranching)
  for (const { node, inputs } of chosen)
    node.input = node.input.map((value, index) => (inputs.includes(index) ? lowForm(value) : value))
  for (const { node, outputs } of chosen)
    node.output = node.output.map((value, index) => (outputs.includes(index) ? lows.get(value)! : value))
  for (const owner of branching) {
    const outputs = low.get(owner)?.outputs ?? []
    for (const body of bodies(owner)) rewriteScope({ graph: body, parent: scope, owner }, outputs, context, lowForm)
  }
  for (const index of lowOutputs) {
    const output = graph.output[index]!
    output.name = lows.get(output.name)!
    if (output.type?.tensorType) output.type.tensorType.elemType = dtypes[dtype].code
  }
  const needless = castsToLow.filter(({ input: [value] }) => lowMade.has(value!))
  dropCasts(scope, needless, lows)
  castBack(scope, lowMade, lows, context)
  dropUnread(scope, new Set(lows.keys()))
  sortNodes(scope, model.file)
}

/** Makes low forms in one graph. `lows` are those that exist, and gets the new ones. */
function lowFormsOf(scope: Scope, lows: Map<string, string>, context: Context, outer?: LowForm): LowForm {
  const index = indexScope(scope)
  const own = declarations(scope.graph)
  const make = (value: string): string => {
    if (outer && !own.has(value)) return outer(value)
    return index.constants.has(value) ? storeLow(scope, value, index, context) : castToLow(scope, value, index, context)
  }
  return (value) => {
    const existing = lows.get(value)
    if (existing !== undefined) return existing
    const made = make(value)
    lows.set(value, made)
    return made
  }
}

function storeLow({ graph }: Scope, value: string, { constants }: ScopeIndex, context: Context): string {
  const { model, newName, dtype } = context
  const tensor = constants.get(value)!
  const content = tensorContent(model, tensor)!
  const name = newName(`${value}_${dtype}`)
  const stored = newMessage('TensorProto', { name })
  setContent(model, stored, { dtype, dims: tensorType(tensor)!.dims }, halfContent(content, dtype))
  graph.initializer.push(stored)
  return name
}

function castToLow(scope: Scope, value: string, { producers }: ScopeIndex, context: Context): string {
  const { types, newName, dtype } = context
  const producer = producers.get(value)
  const source = producer && isCast(producer) ? producer.input[0]! : undefined
  const sourceType = source === undefined ? undefined : types.of(scope, source)
  if (source !== undefined && sourceType === dtype) return source
  // A dtype of a byte or less fits exactly into 16 bits: no need to go through fp32.
  const from = source !== undefined && narrow.has(sourceType) ? source : value
  const name = newName(`${value}_${dtype}`)
  const filling = producer && fillingOf(producer)
  const node = filling === undefined ? newCast(from, name, dtype, name) : halfFilling(producer!, filling, name, dtype)
  scope.graph.node.push(node)
  return name
}

// Values that are still read in fp32.
function castBack(
  scope: Scope,
  lowMade: ReadonlySet<string>,
  lows: ReadonlyMap<string, string>,
  { newName }: Context,
): void {
  const { graph } = scope
  const outputs = new Set(graph.output.map(({ name }) => name))
  const { consumers } = indexScope(scope)
  for (const value of lowMade) {
    if (!consumers.has(value) && !outputs.has(value)) continue
    graph.node.push(newCast(lows.get(value)!, value, 'float32', newName(`${value}_float32`)))
  }
}

const narrow: ReadonlySet<ValueType | undefined> = new Set<ValueType | undefined>(['bool', 'int8', 'uint8'])

function newCast(from: string, to: string, dtype: HalfDType | 'float32', name: string): Node {
  return newNode('Cast', [from], [to], { name, attribute: [newAttribute('to', { int: dtypes[dtype].code })] })
}

function isCast({ opType, domain }: Node): boolean {
  return opType === 'Cast' && isMainDomain(domain)
}

// Their values have the dtype already. An output of the graph needs a node that makes it.
function dropCasts(scope: Scope, casts: readonly Node[], lows: ReadonlyMap<string, string>): void {
  const { graph } = scope
  const outputs = new Set(graph.output.map(({ name }) => name))
  const names = new Map<string, string>()
  for (const cast of casts) {
    const value = lows.get(cast.input[0]!)!
    const result = cast.output[0]!
    if (outputs.has(result))
      Object.assign(cast, newNode('Identity', [value], [result], { name: cast.name }), { attribute: [] })
    else names.set(result, value)
  }
  if (names.size === 0) return
  renameReads(scope, names)
  graph.node = graph.node.filter((node) => !isCast(node) || !names.has(node.output[0]!))
}

// The nodes that can make one form of a value.
function makesForm(node: Node): boolean {
  return isCast(node) || node.opType === 'Constant' || fillingOf(node) !== undefined
}

// fp32 forms of constants and casts to fp32 that nobody reads any more, and declarations of values that are gone.
function dropUnread(scope: Scope, candidates: ReadonlySet<string>): void {
  const { graph } = scope
  const outputs = new Set(graph.output.map(({ name }) => name))
  const { consumers } = indexScope(scope)
  const unread = (name: string) => candidates.has(name) && !consumers.has(name) && !outputs.has(name)
  graph.initializer = graph.initializer.filter(({ name }) => !unread(name))
  graph.node = graph.node.filter((node) => !makesForm(node) || !unread(node.output[0] ?? ''))
  const made = new Set(graph.node.flatMap(({ output }) => output))
  graph.valueInfo = graph.valueInfo.filter(({ name }) => made.has(name))
}
