import { type Edits, sequenceEdits } from './sequence.ts'

/** What is counted of rows. */
export interface RowCounting {
  rows: number
  sameRows: number
  decided: number
  sameDecided: number
  text?: Edits
}

interface Row {
  readonly start: number
  readonly width: number
}

/** Counts the rows of an output of floats: where the largest elements are, and the text that they stand for. */
export function addRows(
  counting: RowCounting,
  wanted: ArrayLike<number>,
  given: ArrayLike<number>,
  dims: readonly number[],
): void {
  const width = dims.at(-1) ?? 1
  const paths: readonly [number[], number[]] = [[], []]
  let distributions = 0
  for (let start = 0; start < wanted.length; start += width) {
    const row = { start, width }
    const [best, other] = [indexOfLargest(wanted, row), indexOfLargest(given, row)]
    paths[0].push(best - start)
    paths[1].push(other - start)
    counting.rows++
    if (best === other) counting.sameRows++
    const kind = kindOf(wanted, row, best)
    if (kind !== 'numbers') distributions++
    if (kind !== 'decided') continue
    counting.decided++
    if (best === other) counting.sameDecided++
  }
  const edits = distributions === paths[0].length ? sequenceEdits(...paths, dims) : undefined
  if (!edits) return
  const { symbols, edits: changed } = counting.text ?? { symbols: 0, edits: 0 }
  counting.text = { symbols: symbols + edits.symbols, edits: changed + edits.edits }
}

/** Whether a row holds probabilities, and then whether the largest is at least a tenth larger than any other. */
function kindOf(values: ArrayLike<number>, { start, width }: Row, best: number): 'numbers' | 'undecided' | 'decided' {
  let sum = 0
  let second = 0
  for (let i = start; i < start + width; i++) {
    const value = values[i] ?? 0
    if (!(value >= 0)) return 'numbers'
    sum += value
    if (i !== best && value > second) second = value
  }
  if (Math.abs(sum - 1) >= 1e-3) return 'numbers'
  return (values[best] ?? 0) > 1.1 * second ? 'decided' : 'undecided'
}

function indexOfLargest(values: ArrayLike<number>, { start, width }: Row): number {
  let best = start
  for (let i = start + 1; i < start + width; i++) if ((values[i] ?? 0) > (values[best] ?? 0)) best = i
  return best
}
