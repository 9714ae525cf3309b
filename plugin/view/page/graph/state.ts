import { computed, effect, signal } from '@preact/signals'
import { facts, graph, problem, selected } from '../state.ts'
import { colourBoxes, type Colouring } from './colours.ts'
import type { Layout } from './layout.ts'
import { nodesBetween } from './path.ts'
import { scopesOf, visibleGraph } from './visible.ts'

export const collapsed = signal<ReadonlySet<string>>(new Set())
export const colouring = signal<Colouring>('operator')
export const search = signal('')
/** Whether the nodes before or after the selected one are marked. */
export const pathTo = signal<'inputs' | 'outputs' | undefined>(undefined)
export const layout = signal<Layout | undefined>(undefined)

export const scopes = computed(() => (graph.value ? scopesOf(graph.value) : new Map<string, number>()))
export const visible = computed(() => (graph.value ? visibleGraph(graph.value, collapsed.value) : undefined))
export const coloured = computed(() => colourBoxes(visible.value?.boxes ?? [], colouring.value, facts.value))

/** Nodes whose operator or name contains the search; all without one. */
export const foundNodes = computed(() => {
  const nodes = graph.value?.nodes ?? []
  const words = search.value.toLowerCase().trim()
  if (words === '') return nodes
  return nodes.filter(({ op, name, outputs }) => `${op} ${name} ${outputs.join(' ')}`.toLowerCase().includes(words))
})

export const pathNodes = computed((): ReadonlySet<number> => {
  const [model, from, direction] = [graph.value, selected.value, pathTo.value]
  if (model === undefined || from === undefined || direction === undefined) return new Set()
  return nodesBetween(model, from, direction)
})

/** More nodes than this are collapsed by their outermost scopes at first. */
const mostAtFirst = 1500

/** Lays out the graph whenever it or its collapsed scopes change. */
export function followLayout(): () => void {
  const worker = new Worker(new URL('./layout-worker.ts', import.meta.url), { type: 'module' })
  let last = 0
  worker.addEventListener('message', ({ data }: MessageEvent<{ readonly id: number; readonly layout: Layout }>) => {
    if (data.id === last) layout.value = data.layout
  })
  worker.addEventListener('error', () => (problem.value = 'The graph could not be laid out'))
  const stopCollapse = effect(collapseAtFirst)
  const stop = effect(() => {
    layout.value = undefined
    const shown = visible.value
    if (shown === undefined) return
    last++
    worker.postMessage({ id: last, request: { count: shown.boxes.length, lines: shown.lines } }, [])
  })
  return () => {
    stop()
    stopCollapse()
    worker.terminate()
  }
}

function collapseAtFirst(): void {
  const nodes = graph.value?.nodes ?? []
  search.value = ''
  pathTo.value = undefined
  const outermost =
    nodes.length > mostAtFirst ? [...scopes.value.keys()].filter((path) => !path.includes('\u0000')) : []
  collapsed.value = new Set(outermost.length > 1 ? outermost : [])
}

/** Opens a scope, or closes it. */
export function toggleScope(path: string): void {
  const next = new Set(collapsed.value)
  if (!next.delete(path)) next.add(path)
  collapsed.value = next
}
