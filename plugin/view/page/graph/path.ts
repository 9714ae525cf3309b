import type { GraphView } from '../../contract.ts'

/** The nodes that a node depends on, up to the inputs, or that depend on it, down to the outputs. It is one of them. */
export function nodesBetween(
  { nodes, edges }: Pick<GraphView, 'nodes' | 'edges'>,
  start: number,
  direction: 'inputs' | 'outputs',
): ReadonlySet<number> {
  const next = nodes.map((): number[] => [])
  for (const { from, to } of edges) {
    if (direction === 'inputs') next[to]?.push(from)
    else next[from]?.push(to)
  }
  const reached = new Set([start])
  for (const node of reached) for (const other of next[node] ?? []) reached.add(other)
  return reached
}
