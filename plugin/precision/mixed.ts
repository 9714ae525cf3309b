import { dtypes } from '../../runtime/dtype.ts'
import { newAttribute } from '../onnx/attribute.ts'
import { setContent, tensorContent } from '../onnx/content.ts'
import { nameMaker, newNode, renameReads, sortNodes } from '../onnx/edit.ts'
import { type EditableModel, indexScope, type Scope } from '../onnx/graph.ts'
import { isMainDomain, type Message, newMessage } from '../onnx/proto.ts'
import { tensorType } from '../onnx/tensor.ts'
import { inferTypes, type ValueType } from '../onnx/types.ts'
import { hideInitializers } from '../onnx/upgrade.ts'
import { calibrate, modelSamples } from './calibrate.ts'
import { chooseNodes, nodeName, type ChoiceLimits, type LowSlots } from './choose.ts'
import type { HalfDType } from './half.ts'
import type { Lowered, PassRequest } from './index.ts'
import { halfContent } from './storage.ts'
import { untouched } from './untouched.ts'

type Node = Message<'NodeProto'>

/** A sixteenth of the range of float16, so that other inputs may give larger values than the samples do. */
const maxSampleValue = 4096

/** Lowers a graph as the options say, in place; with samples, their ranges are found first. */
export async function lowerByRequest(model: EditableModel, dtype: HalfDType, request: PassRequest): Promise<Lowered> {
  const { options: { precision }, name } = request
  const magnitudes = dtype === 'float16' ? await magnitudesOf(model, request) : undefined
  const limits = { dtype, magnitudes, maxValue: maxSampleValue, maxDepth: precision.maxDepth ?? Infinity, pinned: new Set(precision.fp32) }
  const lowered = await lowerGraph(model, limits)
  if (dtype !== 'float16' || magnitudes || lowered.lowered === 0) return lowered
  return { ...lowered, notes: [...lowered.notes, `the ranges of ${name} are not known without the option 'calibration': what may outgrow float16 stays in fp32`] }
}

/** Lowers a graph by these limits, in place. */
export async function lowerGraph(model: EditableModel, limits: ChoiceLimits): Promise<Lowered> {
  const reason = untouched(model)
  if (reason) return { unit: 'nodes', total: 0, lowered: 0, changed: [], kept: [], notes: [reason] }
  hideInitializers(model)
  const scope: Scope = { graph: model.proto.graph }
  sortNodes(scope, model.file)
  const { low, kept } = await chooseNodes(model, scope, limits)
  const changed = [...low.keys()].map(nodeName)
  if (low.size > 0) rewrite(model, scope, low, limits.dtype)
  return { unit: 'nodes', total: low.size + kept.length, lowered: low.size, changed, kept, notes: [] }
}

async function magnitudesOf(model: EditableModel, request: PassRequest): Promise<ReadonlyMap<string, number> | undefined> {
  const samples = await modelSamples(request)
  if (!samples) return undefined
  const scope: Scope = { graph: model.proto.graph }
  const types = inferTypes(model)
  const { constants } = indexScope(scope)
  const names = new Set([...scope.graph.input.map(({ name }) => name), ...scope.graph.node.flatMap(({ output }) => output)])
  const values = [...names].filter((value) => types.of(scope, value) === 'float32' && !constants.has(value))
  const ranges = await calibrate(request, samples, values)
  return new Map([...ranges].map(([value, { min, max, nonFinite }]) => [value, nonFinite > 0 ? Infinity : Math.max(-min, max)]))
}

// A value keeps its name for its fp32 form; `lows` has the names of the 16-bit forms.
function rewrite(model: EditableModel, scope: Scope, low: ReadonlyMap<Node, LowSlots>, dtype: HalfDType): void {
  const { graph } = scope
  const types = inferTypes(model)
  const { producers, constants } = indexScope(scope)
  const newName = nameMaker(model)
  const lows = new Map<string, string>()
  const lowMade = new Set([...low].flatMap(([node, { outputs }]) => outputs.map((index) => node.output[index]!)))
  for (const value of lowMade) lows.set(value, newName(`${value}_${dtype}`))
  const castsToLow = graph.node.filter((node) => isCast(node) && types.of(scope, node.output[0]!) === dtype)
  for (const { input: [value], output: [made] } of castsToLow) if (!lows.has(value!)) lows.set(value!, made!)

  const lowForm = (value: string): string => {
    const known = lows.get(value)
    if (known !== undefined) return known
    const made = constants.has(value) ? castConstant(value) : castValue(value)
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
    graph.node.push(newNode('Cast', [from], [name], { name, attribute: [newAttribute('to', { int: dtypes[dtype].code })] }))
    return name
  }

  for (const [node, { inputs }] of low) node.input = node.input.map((value, index) => (inputs.includes(index) ? lowForm(value) : value))
  for (const [node, { outputs }] of low) node.output = node.output.map((value, index) => (outputs.includes(index) ? lows.get(value)! : value))
  const outputs = new Set(graph.output.map(({ name }) => name))
  dropCasts(scope, castsToLow.filter(({ input: [value] }) => lowMade.has(value!)), lows)
  const { consumers } = indexScope(scope)
  for (const value of lowMade) {
    if (!consumers.has(value) && !outputs.has(value)) continue
    graph.node.push(newNode('Cast', [lows.get(value)!], [value], { name: newName(`${value}_float32`), attribute: [newAttribute('to', { int: dtypes.float32.code })] }))
  }
  removeUnread(scope, new Set(lows.keys()))
  sortNodes(scope, model.file)
}

const narrow: ReadonlySet<ValueType | undefined> = new Set<ValueType | undefined>(['bool', 'int8', 'uint8'])

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
    if (outputs.has(made)) Object.assign(cast, newNode('Identity', [value], [made], { name: cast.name }), { attribute: [] })
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
  graph.node = graph.node.filter((node) => !((isCast(node) || node.opType === 'Constant') && unread(node.output[0] ?? '')))
  const made = new Set(graph.node.flatMap(({ output }) => output))
  graph.valueInfo = graph.valueInfo.filter(({ name }) => made.has(name))
}
