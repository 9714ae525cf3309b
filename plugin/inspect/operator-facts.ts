import type { EditableModel, Scope } from '../onnx/graph.ts'
import { indexScope, reads, scopesOf } from '../onnx/graph.ts'
import { isMainDomain, type Message, type Node } from '../onnx/proto.ts'
import { byteLength, tensorType } from '../onnx/tensor.ts'
import { inferTypes } from '../onnx/types.ts'
import type { ModelInspection, OperatorFacts } from './contract.ts'
import { type DimsOf, multiplyAddsOf } from './multiply-adds.ts'
import { peakActivations } from './peak-activations.ts'
import type { KnownShapes } from './shapes.ts'

/** What the nodes of a model cost: by operator, the most expensive first, and in all. `shapes` may be missing. */
export function costFacts(
  model: EditableModel,
  shapes: KnownShapes | undefined,
): Pick<ModelInspection, 'operators' | 'multiplyAdds' | 'peakActivations'> {
  const scopes = scopesOf(model)
  const weights = new Map(scopes.flatMap((scope) => [...indexScope(scope).constants]))
  const dimsOf = dimsFrom(shapes, weights)
  const operators = countOperators(scopes, weights, dimsOf)
  const isComplete = operators.every(({ multiplyAdds }) => multiplyAdds !== undefined)
  return {
    operators: operators.sort(moreExpensive),
    multiplyAdds: isComplete ? operators.reduce((sum, { multiplyAdds = 0 }) => sum + multiplyAdds, 0) : null,
    peakActivations: shapes ? (peakOf(model, dimsOf) ?? null) : null,
  }
}

function dimsFrom(shapes: KnownShapes | undefined, weights: ReadonlyMap<string, Message<'TensorProto'>>): DimsOf {
  return (name) => {
    const weight = weights.get(name)
    return weight ? tensorType(weight)?.dims : shapes?.get(name)
  }
}

interface OperatorCount {
  readonly operator: string
  readonly domain: string
  count: number
  weightBytes: number
  multiplyAdds: number | undefined
}

function countOperators(
  scopes: readonly Scope[],
  weights: ReadonlyMap<string, Message<'TensorProto'>>,
  dimsOf: DimsOf,
): OperatorCount[] {
  const counts = new Map<string, OperatorCount>()
  const counted = new Set<string>()
  for (const node of scopes.flatMap(({ graph }) => graph.node)) {
    const domain = isMainDomain(node.domain) ? '' : node.domain
    const key = `${domain} ${node.opType}`
    const row = counts.get(key) ?? { operator: node.opType, domain, count: 0, weightBytes: 0, multiplyAdds: 0 }
    counts.set(key, row)
    row.count++
    row.weightBytes += newWeightBytes(node, weights, counted)
    const cost = multiplyAddsOf(node, dimsOf)
    row.multiplyAdds = row.multiplyAdds === undefined || cost === undefined ? undefined : row.multiplyAdds + cost
  }
  return [...counts.values()]
}

/** Bytes of the weights that a node reads and no node before it did: a shared weight counts once. */
function newWeightBytes(
  { input }: Node,
  weights: ReadonlyMap<string, Message<'TensorProto'>>,
  counted: Set<string>,
): number {
  let bytes = 0
  for (const name of input) {
    const weight = weights.get(name)
    const type = weight && tensorType(weight)
    if (!type || counted.has(name)) continue
    counted.add(name)
    bytes += byteLength(type) ?? 0
  }
  return bytes
}

function moreExpensive(a: OperatorFacts, b: OperatorFacts): number {
  return (b.multiplyAdds ?? 0) - (a.multiplyAdds ?? 0) || b.weightBytes - a.weightBytes || b.count - a.count
}

function peakOf(model: EditableModel, dimsOf: DimsOf): number | undefined {
  const { graph } = model.proto
  const types = inferTypes(model)
  const dtypeOf = (name: string) => {
    const type = types.of({ graph }, name)
    return typeof type === 'string' ? type : undefined
  }
  return peakActivations(graph, dimsOf, dtypeOf, reads)
}
