import { nearest } from './nearest.ts'

// The longest name that a message shows whole: names in hostile models can be megabytes long.
const longestName = 120

/**
 * A name in quotes for a message, cut to a readable length. Everything is escaped that a terminal would act on: names
 * come from models, which anyone may have written.
 */
export function quote(name: string): string {
  const shown = name.length > longestName ? `${name.slice(0, longestName - 3)}...` : name
  return JSON.stringify(shown).replace(
    // Control characters that JSON leaves alone, and those that change the direction or the line of a text.
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** The same without the quotes, for lists in which a name is one word of many. */
export function bareName(name: string): string {
  return quote(name).slice(1, -1)
}

/** A model as the head of a message: `model "pose"`. */
export function modelSubject(name: string): string {
  return `model ${quote(name)}`
}

/** The hint for an unknown name; undefined when no candidate is similar. */
export function didYouMean(name: string, candidates: Iterable<string>): string | undefined {
  const near = nearest(name, candidates)
  return near === undefined ? undefined : `Did you mean ${quote(near)}?`
}

/** 'a Float32Array', 'an ArrayBuffer'. */
export function withArticle(noun: string): string {
  return `${/^[AEIO]/.test(noun) ? 'an' : 'a'} ${noun}`
}

/** Bounds of dims or values for a message, such as `[1,1..8,?]`; `open` is the maximum that means no bound. */
export function rangeText(min: readonly number[], max: readonly number[], open?: number): string {
  const texts = min.map((low, index) => {
    const high = max[index]
    if (low === high) return low
    return high === open ? '?' : `${low}..${high}`
  })
  return `[${texts.join(',')}]`
}

/** A value of unknown type for a message; never throws. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (typeof value === 'string') return quote(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  try {
    return describeObject(value)
  } catch {
    // A revoked proxy, or one whose traps throw.
    return 'an object that cannot be read'
  }
}

/** Numbers for a message, and whatever else an array of numbers contains: `[1,nothing,2]`. */
export function listText(items: readonly unknown[]): string {
  return `[${items.map((item) => (typeof item === 'number' ? item : describeValue(item))).join(',')}]`
}

// A message with all keys of a large object helps nobody.
const mostKeys = 8

function describeObject(value: object): string {
  if (Array.isArray(value)) return `an array of ${value.length}`
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) {
    const tag = Object.prototype.toString.call(value).slice(8, -1)
    // An object may give itself any tag.
    return /^\w{1,40}$/.test(tag) ? withArticle(tag) : 'an object'
  }
  const keys = Object.keys(value)
  const shown = keys.slice(0, mostKeys).map(quote)
  return `an object with ${[...shown, ...(keys.length > mostKeys ? ['more'] : [])].join(', ') || 'no keys'}`
}
