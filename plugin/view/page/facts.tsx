import type { JSX } from 'preact'
import { safeText } from './format.ts'

/** Names and values below each other. */
export function Facts({ rows }: { readonly rows: readonly (readonly [name: string, value: string])[] }): JSX.Element {
  if (rows.length === 0) return <></>
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{safeText(name)}</dt>
          <dd>{safeText(value)}</dd>
        </div>
      ))}
    </dl>
  )
}
