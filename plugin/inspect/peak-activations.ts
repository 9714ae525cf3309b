import { dtypes, elementCount, type StoredDType } from '../../runtime/dtype.ts'
import type { Message } from '../onnx/proto.ts'
import type { DimsOf } from './multiply-adds.ts'

/** The dtype of a value; undefined when it is no tensor, or not known. */
export type DTypeOf = (name: string) => StoredDType | undefined

/**
 * Most bytes of activations that are alive at once, if nodes run in their order and each value is freed after its last
 * reader. Inputs and outputs of the model count; weights do not. Undefined when a shape or dtype is missing.
 */
export function peakActivations(
  graph: Message<'GraphProto'>,
  dimsOf: DimsOf,
  dtypeOf: DTypeOf,
  readsOf: (node: Message<'GraphProto'>['node'][number]) => ReadonlySet<string>,
): number | undefined {
  const constants = new Set(graph.initializer.map(({ name }) => name))
  for (const { opType, output } of graph.node) if (opType === 'Constant') constants.add(output[0] ?? '')
  const lastRead = new Map<string, number>()
  graph.node.forEach((node, index) => {
    for (const name of readsOf(node)) lastRead.set(name, index)
  })
  for (const { name } of graph.output) lastRead.set(name, Infinity)
  const sizes = new Map<string, number>()
  let [alive, peak] = [0, 0]
  const enter = (name: string): boolean => {
    if (name === '' || constants.has(name)) return true
    const [dims, dtype] = [dimsOf(name), dtypeOf(name)]
    if (!dims || !dtype) return false
    const bytes = Math.ceil((elementCount(dims) * dtypes[dtype].bits) / 8)
    sizes.set(name, bytes)
    alive += bytes
    peak = Math.max(peak, alive)
    return true
  }
  for (const { name } of graph.input) if (!enter(name)) return undefined
  for (const [index, node] of graph.node.entries()) {
    if (!node.output.every(enter)) return undefined
    for (const name of new Set([...readsOf(node), ...node.output])) {
      // A value that nothing reads is freed at once.
      if ((lastRead.get(name) ?? index) > index) continue
      alive -= sizes.get(name) ?? 0
      sizes.delete(name)
    }
  }
  return peak
}
