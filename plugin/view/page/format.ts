/** A size in decimal units, as file managers show it. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = Math.min(Math.max(Math.floor(Math.log10(bytes || 1) / 3), 0), units.length - 1)
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}

/** A number with as many digits as a person compares. */
export function numberText(value: number | null): string {
  if (value === null) return '–'
  if (Number.isInteger(value)) return value.toLocaleString('en')
  return Math.abs(value) >= 1e-4 && Math.abs(value) < 1e6
    ? String(Number(value.toPrecision(5)))
    : value.toExponential(3)
}

/** Text of a model's file for the page: invisible characters, which could reorder it, are shown as boxes. */
export function safeText(text: string): string {
  return text.slice(0, 300).replace(/\p{C}/gu, '\uFFFD')
}
