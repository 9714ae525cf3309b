import { computed, effect, signal } from '@preact/signals'
import type { EngineProfile, EngineView, GraphView, NodeFact, Overview } from '../contract.ts'
import { api } from './api.ts'

// What the page shows, as signals. Views read them; load.ts and the views change them.

export const tabs = ['graph', 'engines', 'compare', 'try', 'build'] as const
export type Tab = (typeof tabs)[number]

export const overview = signal<Overview | undefined>(undefined)
export const problem = signal<string | undefined>(undefined)
export const tab = signal<Tab>('graph')
export const modelId = signal<string | undefined>(undefined)
export const graph = signal<GraphView | undefined>(undefined)
export const engines = signal<readonly EngineView[] | undefined>(undefined)
/** The engine whose facts colour the graph. */
export const engineId = signal<string | undefined>(undefined)
/** The results of that engine. Each choice has its own: late answers for an earlier one change nothing. */
const choice = computed(() => ({
  id: engineId.value,
  facts: signal<ReadonlyMap<number, NodeFact>>(new Map()),
  profile: signal<EngineProfile | 'measuring' | undefined>(undefined),
}))
/** How long the nodes of that engine take, once somebody asked. */
export const profile = computed(() => choice.value.profile.value)
export const facts = computed(() => withTimes(choice.value.facts.value, profile.value))
/** Index of the node that the inspector shows. */
export const selected = signal<number | undefined>(undefined)

/** Runs a request, and shows its error. A late answer of an earlier request is dropped by `isCurrent`. */
export async function load<T>(
  request: Promise<T>,
  show: (value: T) => void,
  isCurrent: () => boolean = () => true,
): Promise<void> {
  try {
    const value = await request
    if (isCurrent()) show(value)
  } catch (error) {
    if (isCurrent()) problem.value = error instanceof Error ? error.message : String(error)
  }
}

/** Loads what the first view needs, then the rest. */
export async function start(): Promise<void> {
  await load(api.overview(), (value) => {
    overview.value = value
    modelId.value = value.models[0]?.id
    if (value.isLive && value.models.length === 0) tab.value = 'build'
  })
  effect(loadGraph)
  await load(api.engines(), (value) => (engines.value = value))
  effect(loadFacts)
}

function loadGraph(): void {
  const id = modelId.value
  if (id === undefined) return
  graph.value = undefined
  selected.value = undefined
  engineId.value = undefined
  problem.value = undefined
  void load(
    api.graph(id),
    (value) => (graph.value = value),
    () => modelId.value === id,
  )
}

function loadFacts(): void {
  const own = choice.value
  if (own.id === undefined) return
  void load(
    api.nodes(own.id),
    (list) => (own.facts.value = new Map(list.map((fact) => [fact.node, fact]))),
    () => choice.value === own,
  )
}

/** Measures the nodes of the engine, which takes seconds. */
export async function loadTimes(): Promise<void> {
  const own = choice.value
  if (own.id === undefined || own.profile.value !== undefined) return
  own.profile.value = 'measuring'
  await load(
    api.profile(own.id),
    (measured) => (own.profile.value = measured),
    () => choice.value === own,
  )
  if (own.profile.value === 'measuring') own.profile.value = undefined
}

function withTimes(
  known: ReadonlyMap<number, NodeFact>,
  measured: EngineProfile | 'measuring' | undefined,
): typeof known {
  if (typeof measured !== 'object') return known
  const timed = measured.times.flatMap(({ node, time }): [number, NodeFact][] => {
    const fact = known.get(node)
    return fact ? [[node, { ...fact, time }]] : []
  })
  return new Map([...known, ...timed])
}
