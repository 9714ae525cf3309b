import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { engineId, engines, graph, loadTimes, modelId, profile } from '../state.ts'
import { type CanvasControl, GraphCanvas } from './canvas.tsx'
import { type Colouring, colourings, colouringTitles } from './colours.ts'
import { Inspector } from './inspector.tsx'
import { NodeList } from './node-list.tsx'
import { collapsed, coloured, colouring, followLayout, layout, scopes } from './state.ts'

/** A model as a drawing, with a list of its nodes on one side and what is known of the selected one on the other. */
export function GraphPage(): JSX.Element {
  const control = useRef<CanvasControl | undefined>(undefined)
  useEffect(followLayout, [])
  return (
    <>
      <NodeList reveal={(node) => control.current?.reveal(node)} />
      <section class="drawing" aria-label="Drawing" aria-busy={layout.value === undefined} data-model={modelId.value}>
        <GraphCanvas control={control} />
        <Toolbar control={control} />
        <Legend />
        {graph.value && layout.value === undefined && <p class="wait">Laying out…</p>}
        {graph.value?.hasCycle && <p class="wait">This graph has a cycle, which no valid model has.</p>}
      </section>
      <Inspector />
    </>
  )
}

function Toolbar({ control }: { readonly control: { current: CanvasControl | undefined } }): JSX.Element {
  const own = (engines.value ?? []).filter(({ model }) => model === modelId.value)
  const areScopesClosed = collapsed.value.size > 0
  const toggleAll = () => {
    const outermost = [...scopes.value.keys()].filter((path) => !path.includes('\u0000'))
    collapsed.value = new Set(areScopesClosed ? [] : outermost)
  }
  return (
    <div class="toolbar" role="toolbar" aria-label="Drawing">
      <button type="button" aria-label="Zoom in" onClick={() => control.current?.zoom(1.3)}>
        +
      </button>
      <button type="button" aria-label="Zoom out" onClick={() => control.current?.zoom(1 / 1.3)}>
        −
      </button>
      <button type="button" onClick={() => control.current?.fit()}>
        Fit
      </button>
      {scopes.value.size > 0 && (
        <button type="button" onClick={toggleAll}>
          {areScopesClosed ? 'Open scopes' : 'Close scopes'}
        </button>
      )}
      <select
        aria-label="Engine"
        value={engineId.value ?? ''}
        onChange={({ currentTarget }) => {
          engineId.value = currentTarget.value || undefined
          colouring.value = engineId.value === undefined ? 'operator' : 'precision'
        }}
      >
        <option value="">{own.length === 0 ? 'No engine yet' : 'Without an engine'}</option>
        {own.map(({ id, backend, precision }) => (
          <option key={id} value={id}>{`${backend} ${precision}`}</option>
        ))}
      </select>
      <select
        aria-label="Colour by"
        value={colouring.value}
        onChange={({ currentTarget }) => {
          colouring.value = currentTarget.value as Colouring
          if (colouring.value === 'time') void loadTimes()
        }}
      >
        {colourings.map((name) => (
          <option key={name} value={name} disabled={name !== 'operator' && engineId.value === undefined}>
            {colouringTitles[name]}
          </option>
        ))}
      </select>
    </div>
  )
}

function Legend(): JSX.Element {
  const { legend } = coloured.value
  return (
    <ul class="legend" aria-label={`Legend: ${colouringTitles[colouring.value]}`}>
      {legend.slice(0, 9).map(({ label, hue, count }) => (
        <li key={label}>
          <span class={`swatch hue-${hue ?? 'none'}`} />
          <span class="label">{label}</span> <span class="count">{count}</span>
        </li>
      ))}
      {legend.length > 9 && <li>and {legend.length - 9} more</li>}
      {legend.length === 0 && <li>{nothingText()}</li>}
      {colouring.value === 'time' && <ProfileNote />}
    </ul>
  )
}

function nothingText(): string {
  const isMeasuring = colouring.value === 'time' && profile.value === 'measuring'
  return isMeasuring ? 'The engine runs, to measure its nodes…' : 'Nothing is known for this colouring'
}

// Optimisers fuse nodes, and make some of their own.
function ProfileNote(): JSX.Element {
  const { value } = profile
  if (value === undefined || value === 'measuring') return <></>
  const named = `${Math.round(value.named * 100)} % of ${value.milliseconds.toFixed(2)} ms`
  return <li>{named} are of nodes in this graph</li>
}
