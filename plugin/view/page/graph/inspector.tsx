import type { JSX } from 'preact'
import type { GraphView, NodeFact, NodeView } from '../../contract.ts'
import { Facts } from '../facts.tsx'
import { bytesText, safeText } from '../format.ts'
import { facts, graph, selected } from '../state.ts'
import { collapsed, pathNodes, pathTo, scopes, toggleScope } from './state.ts'
import { scopePaths, scopeTitle } from './visible.ts'
import { Weight } from './weight.tsx'

/** What is known of the selected node, or of the model. */
export function Inspector(): JSX.Element {
  const model = graph.value
  const node = selected.value === undefined ? undefined : model?.nodes[selected.value]
  return (
    <aside class="side inspector" aria-label="Details" tabIndex={0}>
      {model && node && <NodeDetails model={model} node={node} fact={facts.value.get(node.index)} />}
      {model && !node && <ModelDetails model={model} />}
    </aside>
  )
}

function ModelDetails({ model }: { readonly model: GraphView }): JSX.Element {
  const bytes = model.initializers.reduce((sum, weight) => sum + weight.bytes, 0)
  return (
    <>
      <h2>Model</h2>
      <Facts
        rows={[
          ['Nodes', String(model.nodes.length)],
          ['Weights', `${model.initializers.length}, ${bytesText(bytes)}`],
        ]}
      />
      <h3>Inputs</h3>
      <Facts rows={model.inputs.slice(0, 50).map(({ name, type }) => [name, type])} />
      <h3>Outputs</h3>
      <Facts rows={model.outputs.slice(0, 50).map(({ name, type }) => [name, type])} />
      <p class="hint">Select a node in the list or in the drawing. A double click opens a scope.</p>
    </>
  )
}

interface Details {
  readonly model: GraphView
  readonly node: NodeView
  readonly fact?: NodeFact | undefined
}

function NodeDetails({ model, node, fact }: Details): JSX.Element {
  const weights = model.initializers.filter(({ name }) => node.inputs.includes(name))
  return (
    <>
      <h2>{safeText(node.op)}</h2>
      <p class="name">{safeText(node.name) || `Node ${node.index}`}</p>
      <div class="buttons">
        {(['inputs', 'outputs'] as const).map((direction) => (
          <button
            key={direction}
            type="button"
            aria-pressed={pathTo.value === direction}
            onClick={() => (pathTo.value = pathTo.value === direction ? undefined : direction)}
          >
            Path to {direction}
          </button>
        ))}
      </div>
      {pathTo.value !== undefined && <p class="hint">{pathNodes.value.size} nodes are on the path</p>}
      <Scopes node={node} />
      {fact && <EngineFacts fact={fact} />}
      {node.attributes.length > 0 && <h3>Attributes</h3>}
      <Facts rows={node.attributes.map(({ name, value }) => [name, value])} />
      <h3>Inputs</h3>
      <Facts rows={node.inputs.slice(0, 100).map((name, index) => [String(index), name || 'left out'])} />
      <h3>Outputs</h3>
      <Facts rows={node.outputs.slice(0, 100).map((name, index) => [String(index), name || 'left out'])} />
      {weights.length > 0 && <h3>Weights</h3>}
      {weights.slice(0, 20).map((weight) => (
        <Weight key={weight.name} weight={weight} />
      ))}
    </>
  )
}

function Scopes({ node }: { readonly node: NodeView }): JSX.Element {
  const paths = scopePaths(node.scope).filter((path) => scopes.value.has(path))
  if (paths.length === 0) return <></>
  return (
    <>
      <h3>Scopes</h3>
      <div class="buttons">
        {paths.map((path) => (
          <button key={path} type="button" aria-pressed={collapsed.value.has(path)} onClick={() => toggleScope(path)}>
            {collapsed.value.has(path) ? 'Open' : 'Close'} {safeText(scopeTitle(path))} ({scopes.value.get(path)})
          </button>
        ))}
      </div>
    </>
  )
}

function share(value: number | undefined): string | undefined {
  return value === undefined ? undefined : `${(value * 100).toFixed(1)} %`
}

function EngineFacts({ fact }: { readonly fact: NodeFact }): JSX.Element {
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Precision', fact.precision],
    ['Kept because', fact.kept],
    ['Layer', fact.layer],
    ['Error', share(fact.error)],
    ['Time', share(fact.time)],
  ]
  return (
    <>
      <h3>In the engine</h3>
      <Facts rows={rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))} />
    </>
  )
}
