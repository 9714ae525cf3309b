import { signal } from '@preact/signals'
import type { JSX } from 'preact'
import type { NodeView } from '../../contract.ts'
import { safeText } from '../format.ts'
import { graph, selected } from '../state.ts'
import { foundNodes, search } from './state.ts'

const rowHeight = 40
const scrolled = signal(0)
const height = 900

/** All nodes in the order of the model; only the rows in sight are in the page. */
export function NodeList({ reveal }: { readonly reveal: (node: number) => void }): JSX.Element {
  const nodes = foundNodes.value
  const first = Math.max(0, Math.floor(scrolled.value / rowHeight) - 4)
  const rows = nodes.slice(first, first + Math.ceil(height / rowHeight) + 8)
  const choose = (position: number, list: HTMLElement) => {
    const node = nodes[Math.min(nodes.length - 1, Math.max(0, position))]
    if (node === undefined) return
    selected.value = node.index
    reveal(node.index)
    const top = nodes.indexOf(node) * rowHeight
    if (top < list.scrollTop) list.scrollTop = top
    else if (top + rowHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + rowHeight - list.clientHeight
  }
  const move = (event: KeyboardEvent & { readonly currentTarget: HTMLElement }) => {
    const now = nodes.findIndex(({ index }) => index === selected.value)
    const to = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: nodes.length - 1 }[event.key]
    if (to === undefined) return
    event.preventDefault()
    choose(to, event.currentTarget)
  }
  const isRendered = rows.some(({ index }) => index === selected.value)
  return (
    <section class="side" aria-label="Nodes">
      <input
        class="search"
        type="search"
        aria-label="Search nodes"
        placeholder="Search nodes"
        value={search.value}
        onInput={({ currentTarget }) => {
          search.value = currentTarget.value
        }}
      />
      <p class="hint" aria-live="polite">
        {graph.value ? `${nodes.length} of ${graph.value.nodes.length} nodes` : 'Reading the model…'}
      </p>
      <div
        class="list"
        role="listbox"
        tabIndex={0}
        aria-label="Nodes"
        aria-activedescendant={isRendered ? `node-${selected.value}` : undefined}
        onKeyDown={move}
        onScroll={({ currentTarget }) => (scrolled.value = currentTarget.scrollTop)}
      >
        <div class="rows" role="presentation" style={{ height: `${nodes.length * rowHeight}px` }}>
          {rows.map((node, row) => (
            <Row key={node.index} node={node} position={first + row} reveal={reveal} />
          ))}
        </div>
      </div>
    </section>
  )
}

interface RowProps {
  readonly node: NodeView
  readonly position: number
  readonly reveal: (node: number) => void
}

function Row({ node: { index, op, name }, position, reveal }: RowProps): JSX.Element {
  return (
    <div
      id={`node-${index}`}
      class="row"
      role="option"
      aria-selected={index === selected.value}
      aria-setsize={foundNodes.value.length}
      aria-posinset={position + 1}
      style={{ top: `${position * rowHeight}px` }}
      onClick={() => {
        selected.value = index
        reveal(index)
      }}
    >
      <b>{safeText(op)}</b>
      <small>{safeText(name)}</small>
    </div>
  )
}
