import { elementCount } from '../../../runtime/dtype.ts'
import { tensorElements } from '../../onnx/content.ts'
import { type EditableModel, indexScope, type Scope, type ScopeIndex } from '../../onnx/graph.ts'
import type { Node } from '../../onnx/proto.ts'
import { isMainDomain } from '../../onnx/proto.ts'
import { tensorType } from '../../onnx/tensor.ts'
import type { ValueTypes } from '../../onnx/types.ts'
import { type HalfDType, roundToHalf } from './rounding.ts'
import { neutralOperators } from './rules.ts'

// Some results need more digits than 16 bits have, however small they are: the sine of a position, the logarithm of a
// probability, a time in a table. What makes such a value must keep its digits too, back to where they come from. A
// pass that computes in 16 bits leaves these nodes in fp32, and one that stores weights leaves the weights they read.

/** Nodes of one graph that keep their digits, and why. */
export async function preciseNodes(
  model: EditableModel,
  scope: Scope,
  types: ValueTypes,
  dtype: HalfDType,
): Promise<ReadonlyMap<Node, string>> {
  const index = indexScope(scope)
  const isInteger = (name: string) => /^u?int/.test(String(types.of(scope, name)))
  const search = { index, isInteger, found: new Map<Node, string>() }
  const tables = await crowdedTables(model, index, dtype)
  for (const node of scope.graph.node) {
    if (!isMainDomain(node.domain)) continue
    if (node.opType === 'Sin' || node.opType === 'Cos') keepAngles(node, search)
    if (node.opType === 'Log') keepProbabilities(node, search)
    if (isPositionTimesTable(node, search)) search.found.set(node, 'positions times frequencies need more digits')
    if (node.input.some((name) => tables.has(name))) keepDifferences(node, search)
  }
  return search.found
}

interface Search {
  readonly index: ScopeIndex
  readonly isInteger: (name: string) => boolean
  readonly found: Map<Node, string>
}

const arithmetic: ReadonlySet<string> = new Set(['Add', 'Sub', 'Mul', 'Div', 'Neg', 'Floor', 'Mod', 'Cast'])

const angleReason = 'sine and cosine need every digit of their angle'

/** A sine or cosine, and the arithmetic that makes its angle, back to tables, positions or other operators. */
function keepAngles(node: Node, search: Search): void {
  search.found.set(node, angleReason)
  for (const name of node.input) {
    const producer = search.index.producers.get(name)
    if (!producer || search.found.has(producer) || !isMainDomain(producer.domain)) continue
    const { opType } = producer
    if (arithmetic.has(opType) || neutralOperators.has(opType) || isPositionTimesTable(producer, search)) {
      keepAngles(producer, search)
    }
  }
}

const nearZero: ReadonlySet<string> = new Set(['Softmax', 'Exp', 'Sigmoid', 'Softplus'])

const logReason = 'a logarithm needs every digit of numbers near zero'

const mostSteps = 6

/** A logarithm of what an operator brings near zero, with all between them. */
function keepProbabilities(log: Node, { index, found }: Search): void {
  const path = pathBack(log.input[0] ?? '', index, mostSteps)
  if (path === undefined) return
  for (const node of [log, ...path]) found.set(node, logReason)
}

/** The nodes from a value back to one that brings values near zero; undefined when it is not made by such a node. */
function pathBack(name: string, index: ScopeIndex, steps: number): readonly Node[] | undefined {
  const node = index.producers.get(name)
  if (!node || steps === 0 || !isMainDomain(node.domain)) return undefined
  if (nearZero.has(node.opType)) return [node]
  const passes = arithmetic.has(node.opType) || neutralOperators.has(node.opType) || bounds.has(node.opType)
  if (!passes) return undefined
  for (const input of node.input) {
    const path = pathBack(input, index, steps - 1)
    if (path) return [node, ...path]
  }
  return undefined
}

const bounds: ReadonlySet<string> = new Set(['Clip', 'Max', 'Min'])

const products: ReadonlySet<string> = new Set(['Mul', 'Div', 'MatMul', 'Einsum'])

/** A product of integers, such as positions, and a table, such as frequencies. */
function isPositionTimesTable(node: Node, search: Search): boolean {
  if (!products.has(node.opType)) return false
  return node.input.some((name) => isCastInteger(name, search)) && node.input.some((name) => isTable(name, search))
}

function isCastInteger(name: string, { index, isInteger }: Search): boolean {
  let producer = index.producers.get(name)
  for (let step = 0; producer && step < mostSteps && neutralOperators.has(producer.opType); step++) {
    producer = index.producers.get(producer.input[0] ?? '')
  }
  return producer?.opType === 'Cast' && isInteger(producer.input[0] ?? '')
}

function isTable(name: string, search: Pick<Search, 'index'>): boolean {
  const { index } = search
  const constant = index.constants.get(name)
  if (constant) return elementCount(tensorType(constant)?.dims ?? []) > 1
  const producer = index.producers.get(name)
  return producer !== undefined && neutralOperators.has(producer.opType) && isTable(producer.input[0] ?? '', search)
}

const tableReason = 'neighbours in a sorted table would become equal'

/** A node that reads a crowded table, and what then moves or subtracts its values. */
function keepDifferences(node: Node, search: Search): void {
  const { index, found } = search
  if (found.has(node)) return
  found.set(node, tableReason)
  for (const output of node.output) {
    for (const reader of index.consumers.get(output) ?? []) {
      if (reader.opType === 'Sub' || reader.opType === 'Add') found.set(reader, tableReason)
      else if (neutralOperators.has(reader.opType)) keepDifferences(reader, search)
    }
  }
}

/** Longest table that is looked at: 4 MB. */
const longestTable = 1 << 20

/** Constants along one axis that rise or fall throughout, and of which two neighbours round to the same number. */
async function crowdedTables(
  model: EditableModel,
  { constants }: ScopeIndex,
  dtype: HalfDType,
): Promise<ReadonlySet<string>> {
  const crowded = new Set<string>()
  for (const [name, tensor] of constants) {
    const type = tensorType(tensor)
    const count = elementCount(type?.dims ?? [])
    const isLine = type?.dims.filter((dim) => dim > 1).length === 1
    if (type?.dtype !== 'float32' || !isLine || count < 16 || count > longestTable) continue
    const values = await tensorElements(model, tensor)
    if (values instanceof Float32Array && isCrowded(values, dtype)) crowded.add(name)
  }
  return crowded
}

function isCrowded(values: Float32Array, dtype: HalfDType): boolean {
  const rising = values[1]! > values[0]!
  for (let i = 1; i < values.length; i++) {
    if (values[i] === values[i - 1] || values[i]! > values[i - 1]! !== rising) return false
  }
  const rounded = roundToHalf[dtype](values)
  return rounded.some((bits, i) => i > 0 && bits === rounded[i - 1])
}
