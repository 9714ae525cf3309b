import { nearest } from './errors.ts'

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
