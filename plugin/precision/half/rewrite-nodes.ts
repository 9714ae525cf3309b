import { dtypes } from '../../../runtime/dtype.ts'
import { newAttribute } from '../../onnx/attribute.ts'
import { tensorContent, setContent } from '../../onnx/content.ts'
import { nameMaker, sortNodes, newNode, renameReads } from '../../onnx/edit.ts'
import { type Node, type EditableModel, type Scope, indexScope, declarations, bodies } from '../../onnx/graph.ts'
import { newMessage, isMainDomain } from '../../onnx/proto.ts'
import { tensorType } from '../../onnx/tensor.ts'
import { inferTypes, type ValueType } from '../../onnx/types.ts'
import { type LowSlots, isBranching } from './choose-nodes.ts'
import { halfContent } from './content.ts'
import { fillingOf, halfFilling } from './filling.ts'
import type { HalfDType } from './rounding.ts'

/** The name of the 16-bit form of a value, which is made when it is asked for. */
type LowForm = (value: string) => string

/**
 * Gives the chosen nodes their 16-bit values, in place, in branches of If too. A value keeps its name for its fp32
 * form. Casts stand only where the two meet, one for each value: that of a value from outside a branch stands outside,
 * for both of them.
 */
export function rewriteNodes(model: EditableModel, low: ReadonlyMap<Node, LowSlots>, dtype: HalfDType): void {
  const types = inferTypes(model)
  const newName = nameMaker(model)
  rewriteScope({ graph: model.proto.graph }, [])

  // `lowOutputs` are the outputs of a branch, by position, that get the dtype. `outer` gives the low forms of values
  // from outside.
  function rewriteScope(scope: Scope, lowOutputs: readonly number[], outer?: LowForm): void {
    const { graph } = scope
    const { producers, constants } = indexScope(scope)
    const own = declarations(graph)
    const chosen = graph.node.flatMap((node) => {
      const slots = low.get(node)
      return slots ? [{ node, ...slots }] : []
    })
    const lows = new Map<string, string>()
    const lowMade = new Set(chosen.flatMap(({ node, outputs }) => outputs.map((index) => node.output[index]!)))
    for (const value of lowMade) lows.set(value, newName(`${value}_${dtype}`))
    const castsToLow = graph.node.filter((node) => isCast(node) && types.of(scope, node.output[0]!) === dtype)
    for (const {
      input: [value],
      output: [made],
    } of castsToLow)
      if (!lows.has(value!)) lows.set(value!, made!)

    const lowForm: LowForm = (value) => {
      const known = lows.get(value)
      if (known !== undefined) return known
      const made =
        outer && !own.has(value) ? outer(value) : constants.has(value) ? castConstant(value) : castValue(value)
      lows.set(value, made)
      return made
    }
    const castConstant = (value: string): string => {
      const tensor = constants.get(value)!
      const content = tensorContent(model, tensor)!
      const name = newName(`${value}_${dtype}`)
      const stored = newMessage('TensorProto', { name })
      setContent(model, stored, { dtype, dims: tensorType(tensor)!.dims }, halfContent(content, dtype))
      graph.initializer.push(stored)
      return name
    }
    const castValue = (value: string): string => {
      const producer = producers.get(value)
      const source = producer && isCast(producer) ? producer.input[0]! : undefined
      const sourceType = source === undefined ? undefined : types.of(scope, source)
      if (source !== undefined && sourceType === dtype) return source
      // What has a byte or less fits exactly into 16 bits: no need to go through fp32.
      const from = source !== undefined && narrow.has(sourceType) ? source : value
      const name = newName(`${value}_${dtype}`)
      const filling = producer && fillingOf(producer)
      graph.node.push(
        filling === undefined ? newCast(from, name, dtype, name) : halfFilling(producer!, filling, name, dtype),
      )
      return name
    }

    const branching = graph.node.filter(isBranching)
    for (const { node, inputs } of chosen)
      node.input = node.input.map((value, index) => (inputs.includes(index) ? lowForm(value) : value))
    for (const { node, outputs } of chosen)
      node.output = node.output.map((value, index) => (outputs.includes(index) ? lows.get(value)! : value))
    for (const owner of branching) {
      for (const body of bodies(owner))
        rewriteScope({ graph: body, parent: scope, owner }, low.get(owner)?.outputs ?? [], lowForm)
    }
    for (const index of lowOutputs) {
      const output = graph.output[index]!
      output.name = lows.get(output.name)!
      if (output.type?.tensorType) output.type.tensorType.elemType = dtypes[dtype].code
    }
    dropCasts(
      scope,
      castsToLow.filter(({ input: [value] }) => lowMade.has(value!)),
      lows,
    )
    const outputs = new Set(graph.output.map(({ name }) => name))
    const { consumers } = indexScope(scope)
    for (const value of lowMade) {
      if (consumers.has(value) || outputs.has(value))
        graph.node.push(newCast(lows.get(value)!, value, 'float32', newName(`${value}_float32`)))
    }
    removeUnread(scope, new Set(lows.keys()))
    sortNodes(scope, model.file)
  }
}

const narrow: ReadonlySet<ValueType | undefined> = new Set<ValueType | undefined>(['bool', 'int8', 'uint8'])

function newCast(from: string, to: string, dtype: HalfDType | 'float32', name: string): Node {
  return newNode('Cast', [from], [to], { name, attribute: [newAttribute('to', { int: dtypes[dtype].code })] })
}

function isCast({ opType, domain }: Node): boolean {
  return opType === 'Cast' && isMainDomain(domain)
}

// The value has this dtype already. An output of the graph needs a node that makes it.
function dropCasts(scope: Scope, casts: readonly Node[], lows: ReadonlyMap<string, string>): void {
  const { graph } = scope
  const outputs = new Set(graph.output.map(({ name }) => name))
  const names = new Map<string, string>()
  for (const cast of casts) {
    const [value, made] = [lows.get(cast.input[0]!)!, cast.output[0]!]
    if (outputs.has(made))
      Object.assign(cast, newNode('Identity', [value], [made], { name: cast.name }), { attribute: [] })
    else names.set(made, value)
  }
  if (names.size === 0) return
  renameReads(scope, names)
  graph.node = graph.node.filter((node) => !isCast(node) || !names.has(node.output[0]!))
}

// The fp32 forms of constants, casts to fp32 that nobody reads any more, and what was declared of values that are gone.
function removeUnread(scope: Scope, candidates: ReadonlySet<string>): void {
  const { graph } = scope
  const outputs = new Set(graph.output.map(({ name }) => name))
  const { consumers } = indexScope(scope)
  const unread = (name: string) => candidates.has(name) && !consumers.has(name) && !outputs.has(name)
  graph.initializer = graph.initializer.filter(({ name }) => !unread(name))
  graph.node = graph.node.filter(
    (node) =>
      !((isCast(node) || node.opType === 'Constant' || fillingOf(node) !== undefined) && unread(node.output[0] ?? '')),
  )
  const made = new Set(graph.node.flatMap(({ output }) => output))
  graph.valueInfo = graph.valueInfo.filter(({ name }) => made.has(name))
}
