import type { JSX } from 'preact'
import type { BenchFigures, EngineView } from '../contract.ts'
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
  const slowest = Math.max(...list.map(({ bench }) => bench?.p99 ?? 0))
  return (
    <div class="cards">
      {list.map((engine) => (
        <EngineCard key={engine.id} engine={engine} slowest={slowest} />
      ))}
    </div>
  )
}

function EngineCard({ engine, slowest }: { readonly engine: EngineView; readonly slowest: number }): JSX.Element {
  const { modelName, backend, label, precision, origin, bytes, why, stale, buildSeconds, verification, bench } = engine
  return (
    <article class="card">
      <h2>
        {safeText(modelName)} <span class="tag">{precision}</span> <span class="tag">{backend}</span>
        {label !== '' && <span class="tag">{safeText(label)}</span>}
        {origin === 'bundle' && <span class="tag">in the bundle</span>}
      </h2>
      {stale !== null && <p class="warning">Stale: {safeText(stale)}</p>}
      {engine.problems.map((text) => (
        <p key={text} class="warning">
          {safeText(text)}
        </p>
      ))}
      <Facts
        rows={[
          ['Size', bytesText(bytes)],
          ...(origin === 'bundle' ? [] : [['Import', engine.query || 'without a query'] as const]),
          ...(buildSeconds === null ? [] : [['Build', `${numberText(buildSeconds)} s`] as const]),
          ['Why', why],
        ]}
      />
      {verification.length > 0 && <Verification figures={verification} />}
      {bench && <Latency bench={bench} slowest={slowest} />}
      {engine.requires.length > 0 && <h3>Requirements</h3>}
      <Facts rows={engine.requires.map(({ name, value }) => [name, value])} />
      <details>
        <summary>{origin === 'bundle' ? 'Facts of the file' : 'Facts of the cache key'}</summary>
        <Facts rows={engine.facts.map(({ name, value }) => [name, value])} />
      </details>
    </article>
  )
}

/** Bars on one scale for all engines of the page. */
function Latency({ bench, slowest }: { readonly bench: BenchFigures; readonly slowest: number }): JSX.Element {
  const { median, p90, p99, load, first, throughput, memory, concurrency, at, cpu } = bench
  return (
    <>
      <h3>Latency of the last bench</h3>
      <Scale
        rows={[
          ['Median', median],
          ['p90', p90],
          ['p99', p99],
        ]}
        most={slowest}
        unit=" ms"
      />
      <p class="hint">
        {`${numberText(throughput)} calls/s by ${concurrency}, load ${numberText(load)} ms, first `}
        {`${numberText(first)} ms, ${bytesText(memory)} of memory, ${new Date(at).toLocaleDateString('en')}, `}
        {safeText(cpu)}
      </p>
    </>
  )
}

interface ScaleProps {
  readonly rows: readonly (readonly [name: string, value: number])[]
  readonly most: number
  readonly unit: string
}

function Scale({ rows, most, unit }: ScaleProps): JSX.Element {
  return (
    <div class="scale">
      {rows.map(([name, value]) => (
        <label key={name}>
          <span>{safeText(name)}</span>
          <meter min={0} max={most || 1} value={value} />
          <span>{`${numberText(value)}${unit}`}</span>
        </label>
      ))}
    </div>
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
          <th scope="col">Of the range</th>
          <th scope="col">Limits</th>
        </tr>
      </thead>
      <tbody>
        {figures.map(({ output, cosine, maxError, relativeError, isWithinLimits }) => (
          <tr key={output}>
            <th scope="row">{safeText(output)}</th>
            <td>{numberText(cosine)}</td>
            <td>{numberText(maxError)}</td>
            <td>{relativeError !== null && <ErrorPlot share={relativeError} />}</td>
            <td>{isWithinLimits ? 'kept' : 'exceeded'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** Errors span many powers of ten: the bar is empty at 1e-8 of the output's largest magnitude and full at all of it. */
function ErrorPlot({ share }: { readonly share: number }): JSX.Element {
  const text = `${numberText(share * 100)} %`
  return <meter min={-8} max={0} value={Math.log10(share || 1e-8)} aria-label={text} title={text} />
}
