import { intAttribute } from '../onnx/attribute.ts'
import { newTensor, smallElements } from '../onnx/content.ts'
import { indexScope, type Scope, type ScopeIndex } from '../onnx/graph.ts'
import { isMainDomain, type Message, type Node } from '../onnx/proto.ts'
import { constantsOf, type FindConstant, makeConstant } from './constants.ts'
import type { KnownDims } from './infer-dims.ts'

interface Context {
  readonly dims: KnownDims
  readonly find: FindConstant
  readonly index: ScopeIndex
}

/**
 * Makes constants of Shape and Size where dims are known, and of what Gather and Slice pick of a Shape. Returns whether
 * there was one.
 */
export function foldShapes(scope: Scope, dims: KnownDims): boolean {
  const context = { dims, find: constantsOf(scope), index: indexScope(scope) }
  let changed = false
  for (const node of scope.graph.node) {
    const rule = isMainDomain(node.domain) && Object.hasOwn(rules, node.opType) ? rules[node.opType] : undefined
    const tensor = rule?.(node, context)
    if (tensor) makeConstant(node, tensor)
    changed ||= tensor !== undefined
  }
  return changed
}

type Rule = (node: Node, context: Context) => Message<'TensorProto'> | undefined

const rules: Readonly<Record<string, Rule>> = {
  Shape: (node, context) => known(shapeOf(node, context)),
  Size(node, context) {
    const dims = dimsOf(node.input[0], context)
    return dims?.every((dim) => dim !== undefined) ? int64s([], [dims.reduce((a, b) => a * b, 1)]) : undefined
  },
  Gather(node, context) {
    const shape = shapeOf(context.index.producers.get(node.input[0] ?? ''), context)
    const indices = context.find(node.input[1] ?? '')
    const picked = indices && numbers(indices)
    if (!shape || !picked || (intAttribute(node, 'axis') ?? 0) !== 0) return undefined
    return known(
      picked.map((index) => shape.at(index)),
      indices.dims.map(({ low }) => low),
    )
  },
  Slice(node, context) {
    const shape = shapeOf(context.index.producers.get(node.input[0] ?? ''), context)
    const [start, end, axis, step] = node.input.slice(1).map((name) => single(context.find(name)))
    const isPlain = (node.input[3] ? axis === 0 : true) && (node.input[4] ? step === 1 : true)
    return shape && isPlain && start !== undefined && end !== undefined ? known(shape.slice(start, end)) : undefined
  },
}

/** What a Shape node makes, as far as it is known. */
function shapeOf(node: Node | undefined, context: Context): readonly (number | undefined)[] | undefined {
  if (node?.opType !== 'Shape' || !isMainDomain(node.domain)) return undefined
  const dims = dimsOf(node.input[0], context)
  return dims?.slice(intAttribute(node, 'start') ?? 0, intAttribute(node, 'end') ?? dims.length)
}

function dimsOf(name: string | undefined, { dims, find }: Context): readonly (number | undefined)[] | undefined {
  if (!name) return undefined
  return find(name)?.dims.map(({ low }) => low) ?? dims.get(name)
}

function known(
  values: readonly (number | undefined)[] | undefined,
  dims: readonly number[] | undefined = values && [values.length],
): Message<'TensorProto'> | undefined {
  return values?.every((value) => value !== undefined) ? int64s(dims!, values) : undefined
}

function int64s(dims: readonly number[], values: readonly number[]): Message<'TensorProto'> {
  return newTensor('', { dtype: 'int64', dims }, BigInt64Array.from(values, BigInt))
}

function numbers(tensor: Message<'TensorProto'>): number[] | undefined {
  const elements = smallElements(tensor)
  return elements && Array.from<number | bigint, number>(elements as ArrayLike<number | bigint>, Number)
}

function single(tensor: Message<'TensorProto'> | undefined): number | undefined {
  const values = tensor && numbers(tensor)
  return values?.length === 1 ? values[0] : undefined
}
