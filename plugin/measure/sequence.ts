import { editDistance } from '../../runtime/nearest.ts'

/** A text that an output stands for, and how much of it changed. A type, not an interface: it is kept as JSON. */
export type Edits = {
  /** Symbols of the expected text. */
  readonly symbols: number
  /** Symbols to insert, remove or replace. */
  readonly edits: number
}

/** Rows below which an output is no sequence. */
const leastSteps = 8

/** Symbols that are compared at once: the time grows with the square. */
const longest = 2000

/**
 * How much the text changes that a sequence of probabilities stands for, as recognisers of text and speech give it: the
 * most likely symbol of each step, where repeats count once and symbol `blank` not at all (best path decoding; Graves
 * et al., "Connectionist temporal classification", ICML 2006). A model does not say which symbol is its blank: it is
 * the first or the last one, whichever is there more often. Undefined for outputs of another kind.
 *
 * @param dims of both: steps and symbols last, one step after the other
 */
export function sequenceEdits(
  wanted: readonly number[],
  given: readonly number[],
  dims: readonly number[],
): Edits | undefined {
  const [steps = 0, classes = 0] = dims.slice(-2)
  if (dims.length !== 3 || classes < 3 || steps < leastSteps) return undefined
  const blank = blankOf(wanted, classes)
  let [symbols, edits] = [0, 0]
  for (let start = 0; start < wanted.length; start += steps) {
    const expected = decoded(wanted.slice(start, start + steps), blank)
    symbols += expected.length
    edits += editDistance(expected, decoded(given.slice(start, start + steps), blank))
  }
  return { symbols, edits }
}

function blankOf(symbols: readonly number[], classes: number): number {
  const count = (symbol: number) => symbols.filter((other) => other === symbol).length
  return count(0) >= count(classes - 1) ? 0 : classes - 1
}

/** One character for each symbol, so that texts can be compared. */
function decoded(path: readonly number[], blank: number): string {
  const kept = path.filter((symbol, step) => symbol !== blank && symbol !== path[step - 1])
  return kept
    .slice(0, longest)
    .map((symbol) => String.fromCharCode(symbol % 0xd800))
    .join('')
}
