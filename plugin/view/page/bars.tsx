import type { JSX } from 'preact'

/** A small bar chart. */
export function Bars({ values, label }: { readonly values: readonly number[]; readonly label: string }): JSX.Element {
  const most = Math.max(...values, 0)
  const least = Math.min(...values, 0)
  const span = most - least || 1
  const width = 100 / values.length
  return (
    <svg class="bars" role="img" aria-label={label} viewBox="0 0 100 40" preserveAspectRatio="none">
      <title>{label}</title>
      {values.map((value, index) => {
        const size = (Math.abs(value) / span) * 39
        const y = ((most - Math.max(value, 0)) / span) * 39
        return <rect key={index} x={index * width} y={y} width={width * 0.85} height={Math.max(size, 0.4)} />
      })}
    </svg>
  )
}
