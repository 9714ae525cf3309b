import type { JSX } from 'preact'
import type { EngineView } from '../contract.ts'
import { Facts } from './facts.tsx'
import { bytesText, numberText, safeText } from './format.ts'
import { engines } from './state.ts'

/** Every engine that is known, with what a person asks of it. */
export function EnginesPage(): JSX.Element {
  const list = engines.value
  if (list === undefined) return <p class="empty">Reading the cache…</p>
  if (list.length === 0) {
    return (
      <p class="empty">
        No engine has been compiled yet. A build of your app makes them, or <code>npx unplugin-onnx build</code>.
      </p>
    )
  }
  const slowest = Math.max(...list.map(({ bench }) => bench?.median ?? 0))
  return (
    <div class="cards">
      {list.map((engine) => (
        <EngineCard key={engine.id} engine={engine} slowest={slowest} />
      ))}
    </div>
  )
}

function EngineCard({ engine, slowest }: { readonly engine: EngineView; readonly slowest: number }): JSX.Element {
  const { modelName, backend, precision, bytes, why, stale, buildSeconds, verification, bench } = engine
  return (
    <article class="card">
      <h2>
        {safeText(modelName)} <span class="tag">{precision}</span> <span class="tag">{backend}</span>
      </h2>
      {stale !== null && <p class="warning">Stale: {safeText(stale)}</p>}
      <Facts
        rows={[
          ['Size', bytesText(bytes)],
          ['Import', engine.query || 'without a query'],
          ...(buildSeconds === null ? [] : [['Build', `${numberText(buildSeconds)} s`] as const]),
          ['Why', why],
        ]}
      />
      {verification.length > 0 && <Verification figures={verification} />}
      {bench && (
        <>
          <h3>Latency of the last bench</h3>
          <meter min={0} max={slowest} value={bench.median} aria-label="Median latency" />
          <p class="hint">
            {`median ${numberText(bench.median)} ms, p90 ${numberText(bench.p90)}, p99 ${numberText(bench.p99)}`}
          </p>
        </>
      )}
      {engine.requires.length > 0 && <h3>Requirements</h3>}
      <Facts rows={engine.requires.map(({ name, value }) => [name, value])} />
      <details>
        <summary>Facts of the cache key</summary>
        <Facts rows={engine.facts.map(({ name, value }) => [name, value])} />
      </details>
    </article>
  )
}

function Verification({ figures }: { readonly figures: EngineView['verification'] }): JSX.Element {
  return (
    <table>
      <caption>Beside the fp32 model</caption>
      <thead>
        <tr>
          <th scope="col">Output</th>
          <th scope="col">Cosine</th>
          <th scope="col">Largest error</th>
          <th scope="col">Limits</th>
        </tr>
      </thead>
      <tbody>
        {figures.map(({ output, cosine, maxError, isWithinLimits }) => (
          <tr key={output}>
            <th scope="row">{safeText(output)}</th>
            <td>{numberText(cosine)}</td>
            <td>{numberText(maxError)}</td>
            <td>{isWithinLimits ? 'kept' : 'exceeded'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
