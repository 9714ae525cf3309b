import type { JSX } from 'preact'
import { BuildPage } from './build.tsx'
import { ComparePage } from './compare.tsx'
import { EnginesPage } from './engines.tsx'
import { safeText } from './format.ts'
import { GraphPage } from './graph/graph-page.tsx'
import { modelId, overview, problem, type Tab, tab, tabs } from './state.ts'
import { switchTheme, theme } from './theme.ts'
import { TryPage } from './try.tsx'

const titles: Readonly<Record<Tab, string>> = {
  graph: 'Graph',
  engines: 'Engines',
  compare: 'Compare',
  try: 'Try',
  build: 'Build',
}

const pages: Readonly<Record<Tab, () => JSX.Element>> = {
  graph: GraphPage,
  engines: EnginesPage,
  compare: ComparePage,
  try: TryPage,
  build: BuildPage,
}

export function App(): JSX.Element {
  const Page = pages[tab.value]
  return (
    <>
      <header class="top">
        <h1 class="brand">
          <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
            <path d="M5 5 15 10 5 15 5 5M15 10 10 17" />
            <circle cx="5" cy="5" r="3" />
            <circle cx="15" cy="10" r="3" />
            <circle cx="5" cy="15" r="3" />
          </svg>
          unplugin-onnx
        </h1>
        <ModelChoice />
        <Tabs />
        <button class="quiet" type="button" onClick={switchTheme}>
          {theme.value === 'dark' ? 'Light' : 'Dark'}
        </button>
      </header>
      {problem.value !== undefined && (
        <p class="problem" role="alert">
          <span>{safeText(problem.value)}</span>
          <button class="quiet" type="button" onClick={() => (problem.value = undefined)}>
            Close
          </button>
        </p>
      )}
      <main>
        <div id="view" role="tabpanel" aria-labelledby={`tab-${tab.value}`} class={`page page-${tab.value}`}>
          <Page />
        </div>
      </main>
    </>
  )
}

function ModelChoice(): JSX.Element {
  const models = overview.value?.models ?? []
  return (
    <select
      class="model"
      aria-label="Model"
      value={modelId.value}
      disabled={models.length === 0}
      onChange={({ currentTarget }) => (modelId.value = currentTarget.value)}
    >
      {models.length === 0 && <option>No model</option>}
      {models.map(({ id, file }) => (
        <option key={id} value={id}>
          {safeText(file)}
        </option>
      ))}
    </select>
  )
}

function Tabs(): JSX.Element {
  const shown = tabs.filter((name) => name !== 'build' || overview.value?.isLive)
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (step === undefined) return
    event.preventDefault()
    const next = shown.at((shown.indexOf(tab.value) + step) % shown.length) ?? 'graph'
    tab.value = next
    document.querySelector<HTMLElement>(`#tab-${next}`)?.focus()
  }
  return (
    <div class="tabs" role="tablist" aria-label="Views" onKeyDown={move}>
      {shown.map((name) => (
        <button
          key={name}
          id={`tab-${name}`}
          type="button"
          role="tab"
          aria-selected={tab.value === name}
          aria-controls="view"
          tabIndex={tab.value === name ? 0 : -1}
          onClick={() => (tab.value = name)}
        >
          {titles[name]}
        </button>
      ))}
    </div>
  )
}
