import { dtypeOfCode, type StoredDType } from '../../runtime/dtype.ts'
import { attributeOf } from './attribute.ts'
import { dtypeRules } from './dtype-rules.ts'
import { bodies, type EditableModel, type Scope } from './graph.ts'
import type { Node } from './proto.ts'
import { decodeMessage, isMainDomain, type Message, safeInteger } from './proto.ts'

type Graph = Message<'GraphProto'>
type Attribute = Message<'AttributeProto'>

/** The type of a value: the dtype of a tensor, or a sequence or optional of a type. */
export type ValueType = StoredDType | { readonly sequence: ValueType } | { readonly optional: ValueType }

type Types = readonly (ValueType | undefined)[]

/** The types of all values of a model. */
export interface ValueTypes {
  /** The type of a value as a node of this graph sees it; undefined when it cannot be inferred. */
  of(scope: Scope, name: string): ValueType | undefined
}

// The values of one graph, and the graph around it, which has the others.
interface Environment {
  readonly values: Map<string, ValueType>
  readonly parent?: Environment | undefined
  /** Inside a function: the attributes of the call, and how many calls enclose it. */
  readonly call?: { readonly attributes: ReadonlyMap<string, Attribute>; readonly depth: number } | undefined
}

interface Context {
  readonly opset: number
  readonly functions: ReadonlyMap<string, Message<'FunctionProto'>>
  readonly graphs: Map<Graph, Environment>
  /** Calls that may still be followed. Without a limit, functions that call others twice would take for ever. */
  readonly budget: { calls: number }
}

const limits = { calls: 100_000, depth: 50 }

/**
 * Infers the type of every value of a model, bodies and local functions included: by a rule for each operator of the
 * main domain (see dtype-rules.ts), otherwise from the declarations of the model. A type is never guessed: without
 * both, a value has none.
 */
export function inferTypes({ proto }: EditableModel): ValueTypes {
  const functions = new Map(proto.functions.map((body) => [functionKey(body.domain, body.name, body.overload), body]))
  const graphs = new Map<Graph, Environment>()
  const context = { opset: mainOpset(proto.opsetImport), functions, graphs, budget: { calls: limits.calls } }
  inferGraph(proto.graph, undefined, [], context)
  return {
    of({ graph }, name) {
      const environment = graphs.get(graph)
      return environment && lookUp(environment, name)
    },
  }
}

/** The version of the main domain. Models from before opset imports are of opset 1. */
export function mainOpset(imports: readonly Message<'OperatorSetIdProto'>[]): number {
  const main = imports.find(({ domain }) => isMainDomain(domain))
  return (main && safeInteger(main.version)) ?? 1
}

/** The type that a TypeProto declares; undefined for a map, a sparse tensor, or an unknown element type. */
export function declaredType(type: Message<'TypeProto'> | null | undefined): ValueType | undefined {
  if (!type) return undefined
  if (type.tensorType) return dtypeOfCode(type.tensorType.elemType)
  if (Object.hasOwn(type, 'sequenceType')) return wraps.sequence(elementType(type.sequenceType))
  if (Object.hasOwn(type, 'optionalType')) return wraps.optional(elementType(type.optionalType))
  return undefined
}

// These bytes were not decoded when the model was read: they may be damaged, or nested without end. Then there is no
// type.
function elementType(bytes: Uint8Array): ValueType | undefined {
  try {
    return declaredType(decodeMessage('ElementTypeProto', bytes).elemType)
  } catch {
    return undefined
  }
}

// `inputTypes` are for inputs that do not declare their own.
function inferGraph(graph: Graph, parent: Environment | undefined, inputTypes: Types, context: Context): Types {
  const environment: Environment = { values: new Map(), parent, call: parent?.call }
  context.graphs.set(graph, environment)
  graph.input.forEach(({ name, type }, index) => declare(environment, name, declaredType(type) ?? inputTypes[index]))
  for (const { name, dataType } of graph.initializer) declare(environment, name, dtypeOfCode(dataType))
  for (const { values } of graph.sparseInitializer)
    declare(environment, values?.name ?? '', dtypeOfCode(values?.dataType ?? 0))
  const declared = new Map([...graph.valueInfo, ...graph.output].map(({ name, type }) => [name, type]))
  inferNodes(graph.node, environment, context, (name) => declaredType(declared.get(name)))
  return graph.output.map(({ name, type }) => lookUp(environment, name) ?? declaredType(type))
}

function inferNodes(
  nodes: readonly Node[],
  environment: Environment,
  context: Context,
  declared: (name: string) => ValueType | undefined,
): void {
  for (const node of nodes) {
    const types = inferNode(node, environment, context)
    node.output.forEach((name, index) => declare(environment, name, types[index] ?? declared(name)))
  }
}

function inferNode(node: Node, environment: Environment, context: Context): Types {
  const body = context.functions.get(functionKey(node.domain, node.opType, node.overload))
  if (body) return inferCall(node, body, environment, context)
  const results = inferBodies(node, environment, context)
  const words = isMainDomain(node.domain) ? ruleOf(node.opType, context.opset) : []
  const rest = words.at(-1)?.endsWith('*') ? words.at(-1) : undefined
  return node.output.map((_, index) => {
    const word = words[index] ?? rest
    return word === 'body*' ? results[index] : resolveFirst(word?.replace('*', '') ?? '', node, environment)
  })
}

function ruleOf(operator: string, opset: number): readonly string[] {
  const rule = Object.hasOwn(dtypeRules, operator) ? dtypeRules[operator] : undefined
  const text = typeof rule === 'string' ? rule : rule?.findLast(([since]) => since <= opset)?.[1]
  return text?.split(' ') ?? []
}

function resolveFirst(word: string, node: Node, environment: Environment): ValueType | undefined {
  for (const choice of word.split('|')) {
    const type = resolve(choice, node, environment)
    if (type) return type
  }
  return undefined
}

const wraps = {
  sequence: (type?: ValueType): ValueType | undefined => type && { sequence: type },
  optional: (type?: ValueType): ValueType | undefined => type && { optional: type },
  element: (type?: ValueType): ValueType | undefined =>
    typeof type === 'object' && 'sequence' in type ? type.sequence : undefined,
  payload: (type?: ValueType): ValueType | undefined =>
    typeof type === 'object' && 'optional' in type ? type.optional : type,
}

function resolve(choice: string, node: Node, environment: Environment): ValueType | undefined {
  const [, wrap, inner] = /^(\w+)\((.+)\)$/.exec(choice) ?? []
  if (wrap && inner) return wraps[wrap as keyof typeof wraps](resolve(inner, node, environment))
  if (/^\d/.test(choice)) return lookUp(environment, node.input[Number(choice)] ?? '')
  if (!/^[@#]/.test(choice)) return (choice || undefined) as StoredDType | undefined
  const attribute = calledAttribute(node, choice.slice(1), environment)
  if (!attribute) return undefined
  return choice.startsWith('#')
    ? valueType(attribute)
    : (declaredType(attribute.tp) ?? dtypeOfCode(safeInteger(attribute.i) ?? 0))
}

// Numbers are AttributeProto.AttributeType of onnx.proto: float, int, string, tensor, their lists, and sparse tensor.
function valueType({ type, t, sparseTensor }: Attribute): ValueType | undefined {
  const scalars: Readonly<Record<number, StoredDType>> = {
    1: 'float32',
    2: 'int64',
    3: 'string',
    6: 'float32',
    7: 'int64',
    8: 'string',
  }
  return scalars[type] ?? dtypeOfCode(t?.dataType ?? sparseTensor?.values?.dataType ?? 0)
}

// The types of a body's inputs, from those of the node's inputs; and the types of the node's outputs, from those of its
// bodies.
const bodyRules: Readonly<
  Record<string, { inputTypes: (inputs: Types) => Types; outputs?: (results: readonly Types[]) => Types }>
> = {
  If: {
    inputTypes: () => [],
    outputs: ([first = [], second = []]) => first.map((type, index) => type ?? second[index]),
  },
  Loop: {
    inputTypes: (inputs) => ['int64', 'bool', ...inputs.slice(2)],
    outputs: ([results = []]) => results.slice(1),
  },
  Scan: { inputTypes: (inputs) => inputs },
  SequenceMap: {
    inputTypes: (inputs) => inputs.map((type) => wraps.element(type) ?? type),
    outputs: ([results = []]) => results.map(wraps.sequence),
  },
}

function inferBodies(node: Node, environment: Environment, context: Context): Types {
  const rule = isMainDomain(node.domain) && Object.hasOwn(bodyRules, node.opType) ? bodyRules[node.opType] : undefined
  const inputs = node.input.map((name) => lookUp(environment, name))
  // Before opset 9 the first input of a Scan was the lengths of its sequences, which could be absent.
  const inputTypes = rule?.inputTypes(node.opType === 'Scan' && context.opset < 9 ? inputs.slice(1) : inputs) ?? []
  const results = bodies(node).map((graph) => inferGraph(graph, environment, inputTypes, context))
  return rule?.outputs?.(results) ?? results[0] ?? []
}

function inferCall(node: Node, body: Message<'FunctionProto'>, environment: Environment, context: Context): Types {
  const depth = (environment.call?.depth ?? 0) + 1
  if (depth > limits.depth || --context.budget.calls < 0) return []
  const attributes = new Map(body.attributeProto.map((attribute) => [attribute.name, attribute]))
  for (const { name } of node.attribute) {
    const attribute = calledAttribute(node, name, environment)
    if (attribute) attributes.set(name, attribute)
  }
  const inside: Environment = { values: new Map(), call: { attributes, depth } }
  body.input.forEach((name, index) => declare(inside, name, lookUp(environment, node.input[index] ?? '')))
  const declared = new Map(body.valueInfo.map(({ name, type }) => [name, type]))
  const opset = body.opsetImport.length > 0 ? mainOpset(body.opsetImport) : context.opset
  inferNodes(body.node, inside, { ...context, opset }, (name) => declaredType(declared.get(name)))
  return body.output.map((name) => lookUp(inside, name))
}

// Inside a function an attribute may refer to one of the call.
function calledAttribute(node: Node, name: string, { call }: Environment): Attribute | undefined {
  const attribute = attributeOf(node, name)
  return attribute?.refAttrName ? call?.attributes.get(attribute.refAttrName) : attribute
}

function functionKey(domain: string, name: string, overload: string): string {
  return JSON.stringify([isMainDomain(domain) ? '' : domain, name, overload])
}

function declare({ values }: Environment, name: string, type: ValueType | undefined): void {
  if (type !== undefined && name !== '') values.set(name, type)
}

function lookUp(environment: Environment, name: string): ValueType | undefined {
  for (let at: Environment | undefined = environment; at; at = at.parent) {
    const type = at.values.get(name)
    if (type !== undefined) return type
  }
  return undefined
}
