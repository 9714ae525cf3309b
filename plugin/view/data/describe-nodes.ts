import { openStore } from '../../cache/store.ts'
import { engineMetadata } from '../../compile/engine-metadata.ts'
import type { ResolvedOptions } from '../../options/schema.ts'
import type { LoweringReport } from '../../precision/lower.ts'
import { shorten } from '../../text.ts'
import type { EngineView, GraphView, NodeFact, NodeView } from '../contract.ts'

/** What the cache knows of the nodes of an engine: their precision, why they kept it, and their layer. */
export async function describeNodes(
  engine: EngineView,
  graph: GraphView,
  { cache }: ResolvedOptions,
): Promise<readonly NodeFact[]> {
  const entries = await openStore({ ...cache, warn: console.error }).list()
  const entry = entries.find(({ file }) => file === engine.file)
  const { lowering: report, layers = [] } = engineMetadata(entry?.metadata ?? null)
  const kept = new Map((report?.kept ?? []).map(({ name, reason }) => [name, reason]))
  const changed = new Set(report?.changed)
  const layerOf = new Map(layers.flatMap(({ name, nodes }) => nodes.map((node) => [node, name] as const)))
  // Some passes lower nodes, others the weights that nodes read.
  const named = (names: { has(name: string): boolean }, { name, inputs }: NodeView) =>
    report?.unit === 'weights' ? inputs.find((input) => names.has(input)) : [name].find((own) => names.has(own))
  const errors = errorsOf(engine, graph, (node) => named(changed, node))
  return graph.nodes.map((node) => {
    const { index, name } = node
    const reason = kept.get(named(kept, node) ?? '')
    const layer = layerOf.get(name)
    const error = errors.get(index)
    return {
      node: index,
      precision: precisionOf(engine, report, {
        isKept: reason !== undefined,
        isChanged: named(changed, node) !== undefined,
      }),
      ...(reason !== undefined && { kept: shorten(reason, 300) }),
      ...(layer !== undefined && { layer: shorten(layer, 300) }),
      ...(error !== undefined && { error }),
    }
  })
}

// A part of the report has a share for all its nodes, or for all nodes of its weights. A part whose nodes are not found
// one by one tells nothing.
function errorsOf(
  { errorParts }: EngineView,
  { nodes }: GraphView,
  nameOf: (node: NodeView) => string | undefined,
): ReadonlyMap<number, number> {
  const changed = nodes
    .map((node) => ({ index: node.index, name: nameOf(node) }))
    .filter(({ name }) => name !== undefined)
  const errors = errorParts.flatMap(({ first, last, count, share }) => {
    const start = changed.findIndex(({ name }) => name === first)
    const end = changed.findIndex(({ name }) => name === last)
    const part = start < 0 ? [] : changed.slice(start, end + 1)
    if (share === null || part.length !== count) return []
    return part.map(({ index }) => [index, share / count] as const)
  })
  return new Map(errors)
}

function precisionOf(
  { precision }: EngineView,
  report: LoweringReport | null,
  { isKept, isChanged }: { readonly isKept: boolean; readonly isChanged: boolean },
): string {
  if (report === null || isChanged) return precision
  // A pass that lists what it changed left all others as they were.
  return isKept || report.changed !== undefined ? 'as in the model' : precision
}
