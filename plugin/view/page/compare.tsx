import { signal } from '@preact/signals'
import type { JSX } from 'preact'
import type { Change, Comparison } from '../contract.ts'
import { api } from './api.ts'
import { safeText } from './format.ts'
import { engines, load, overview } from './state.ts'

const chosen = signal<readonly [a: string, b: string]>(['', ''])
const comparison = signal<Comparison | undefined>(undefined)

/** What differs between two models, or two engines. */
export function ComparePage(): JSX.Element {
  const [a, b] = chosen.value
  const compare = () => {
    comparison.value = undefined
    void load(
      api.compare(a, b),
      (value) => (comparison.value = value),
      () => chosen.value[0] === a && chosen.value[1] === b,
    )
  }
  return (
    <div class="narrow">
      <form
        class="choices"
        onSubmit={(event) => {
          event.preventDefault()
          compare()
        }}
      >
        <Choice label="Before" value={a} choose={(value) => (chosen.value = [value, b])} />
        <Choice label="After" value={b} choose={(value) => (chosen.value = [a, value])} />
        <button class="main" disabled={a === '' || b === ''}>
          Compare
        </button>
      </form>
      {comparison.value === undefined && <p class="empty">Choose two models, or two engines.</p>}
      {comparison.value?.groups.map(({ title, changes }) => (
        <section key={title}>
          <h2>
            {safeText(title)} <span class="tag">{changes.length}</span>
          </h2>
          {changes.length === 0 ? <p class="hint">Nothing changed</p> : <Changes changes={changes} />}
        </section>
      ))}
    </div>
  )
}

interface ChoiceProps {
  readonly label: string
  readonly value: string
  choose(value: string): void
}

function Choice({ label, value, choose }: ChoiceProps): JSX.Element {
  return (
    <label>
      {label}
      <select value={value} onChange={({ currentTarget }) => choose(currentTarget.value)}>
        <option value="">Choose</option>
        <optgroup label="Models">
          {overview.value?.models.map(({ id, file }) => (
            <option key={id} value={id}>
              {safeText(file)}
            </option>
          ))}
        </optgroup>
        <optgroup label="Engines">
          {engines.value?.map(({ id, modelName, backend, precision }) => (
            <option key={id} value={id}>
              {safeText(`${modelName} ${precision} ${backend}`)}
            </option>
          ))}
        </optgroup>
      </select>
    </label>
  )
}

/** A long list is cut: a browser cannot show a million rows. */
const mostRows = 500

function Changes({ changes }: { readonly changes: readonly Change[] }): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Changes">
      <table>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Before</th>
            <th scope="col">After</th>
          </tr>
        </thead>
        <tbody>
          {changes.slice(0, mostRows).map(({ name, before, after }) => (
            <tr key={name}>
              <th scope="row">{safeText(name)}</th>
              <td class="removed">{before === undefined ? 'not there' : safeText(before)}</td>
              <td class="added">{after === undefined ? 'removed' : safeText(after)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {changes.length > mostRows && <p class="hint">and {changes.length - mostRows} more</p>}
    </div>
  )
}
