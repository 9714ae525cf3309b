export { quote } from '../runtime/text.ts'

/**
 * The path of an option as users write it, such as `shapes.image[1]`, with names that are not identifiers in brackets
 * and quotes.
 */
export function keyPath(path: readonly PropertyKey[]): string {
  return path
    .map((key, index) => {
      if (typeof key === 'number') return `[${key}]`
      const name = String(key)
      if (/^[A-Za-z_$][\w$]{0,79}$/.test(name)) return index === 0 ? name : `.${name}`
      return `[${JSON.stringify(shorten(name))}]`
    })
    .join('')
}

/** Cuts text for a message: names in hostile models, imports and options can be megabytes long. */
export function shorten(text: string, limit: number = 80): string {
  return text.length > limit ? `${text.slice(0, limit)}...` : text
}

/** A record whose keys may be any text, `__proto__` included: it has no prototype. */
export function byName<T>(entries: Iterable<readonly [string, T]>): Readonly<Record<string, T>> {
  return Object.assign(Object.create(null), Object.fromEntries(entries))
}

/** A size in decimal units, as file managers and package registries show it. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = Math.min(Math.max(Math.floor(Math.log10(bytes || 1) / 3), 0), units.length - 1)
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}

/** `1 model`, `2 models`. */
export function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`
}

/** The hint for a name that is close to one that exists; undefined without such a name. */
export function didYouMean(near: string | undefined): string | undefined {
  return near === undefined ? undefined : `Did you mean ${quoteText(near)}?`
}

/** Text that a user wrote, for a message: in single quotes as in code, cut to a readable length. */
export function quoteText(text: string): string {
  return `'${shorten(text, 120)}'`
}
