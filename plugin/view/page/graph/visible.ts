import type { GraphView } from '../../contract.ts'

/** A box of the drawing: a node, or a scope that is collapsed. */
export type Box = {
  readonly id: string
  readonly title: string
  readonly detail: string
  /** Indexes of its nodes: one, or those of the scope. */
  readonly nodes: readonly number[]
  /** The scope that a collapsed box stands for. */
  readonly scope?: string
}

/** The boxes and the lines between them, by indexes of boxes. */
export type VisibleGraph = {
  readonly boxes: readonly Box[]
  readonly lines: readonly (readonly [from: number, to: number])[]
  /** The box of each node. */
  readonly boxOf: readonly number[]
}

/** Parts of a scope as one text: names have no such character. */
const separator = '\u0000'

/** The paths of the scopes around a node, outermost first. */
export function scopePaths(scope: readonly string[]): readonly string[] {
  return scope.map((_, depth) => scope.slice(0, depth + 1).join(separator))
}

export function scopeTitle(path: string): string {
  return path.split(separator).join(' / ')
}

/** Scopes of two nodes or more, with how many they hold. */
export function scopesOf({ nodes }: GraphView): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { scope } of nodes) for (const path of scopePaths(scope)) counts.set(path, (counts.get(path) ?? 0) + 1)
  return new Map([...counts].filter(([, count]) => count > 1))
}

/** The graph with the scopes of `collapsed` as one box each. */
export function visibleGraph(graph: GraphView, collapsed: ReadonlySet<string>): VisibleGraph {
  const boxes: Box[] = []
  const groups = new Map<string, { index: number; nodes: number[] }>()
  const boxOf = graph.nodes.map(({ index, op, name, scope }) => {
    const path = scopePaths(scope).find((candidate) => collapsed.has(candidate))
    if (path === undefined) return boxes.push({ id: `n${index}`, title: op, detail: name, nodes: [index] }) - 1
    const group = groups.get(path)
    if (group) {
      group.nodes.push(index)
      return group.index
    }
    const nodes = [index]
    const title = path.split(separator).at(-1) ?? ''
    const position = boxes.push({ id: `s${path}`, title, detail: scopeTitle(path), nodes, scope: path }) - 1
    groups.set(path, { index: position, nodes })
    return position
  })
  const seen = new Set<string>()
  const lines: (readonly [number, number])[] = []
  for (const { from, to } of graph.edges) {
    const [a, b] = [boxOf[from] ?? 0, boxOf[to] ?? 0]
    if (a === b || seen.has(`${a} ${b}`)) continue
    seen.add(`${a} ${b}`)
    lines.push([a, b])
  }
  return { boxes, lines, boxOf }
}
