import type { Scope } from '../../onnx/graph.ts'

/**
 * The quantized values that must have one scale: those that a node of these operators reads, and its quantized result.
 * Groups with a common value become one, as in the nested Concats of a DenseNet. The key of a group is its first
 * value.
 */
export function shareScales(
  { graph }: Scope,
  operators: readonly string[],
  quantized: ReadonlySet<string>,
): ReadonlyMap<string, readonly string[]> {
  const groupOf = new Map<string, Set<string>>()
  for (const { opType, domain, input, output } of graph.node) {
    if (domain !== '' || !operators.includes(opType) || !quantized.has(output[0] ?? '')) continue
    const values = [...input, output[0]!].filter((name) => quantized.has(name))
    const group = new Set(values.flatMap((name) => [...(groupOf.get(name) ?? [name])]))
    for (const name of group) groupOf.set(name, group)
  }
  return new Map(
    [...new Set(groupOf.values())].filter(({ size }) => size > 1).map((group) => [[...group][0]!, [...group]]),
  )
}
