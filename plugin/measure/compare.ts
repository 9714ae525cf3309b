import type { CheckedTensor } from '../../runtime/session.ts'
import { numbersOf } from './numbers.ts'
import type { Objects } from './objects.ts'
import { addRows, type RowCounting } from './rows.ts'
import type { Edits } from './sequence.ts'

/**
 * How far an output of an engine is from that of the fp32 model, over all inputs. A type, not an interface: it is kept
 * as JSON.
 */
export type Comparison = {
  readonly name: string
  /** Largest difference of two elements; null when one of them is not a finite number where the other is. */
  readonly maxAbs: number | null
  /** Largest finite magnitude that is expected. */
  readonly largest: number
  /**
   * Largest difference beyond a hundredth of the element itself. It shows wrong small elements next to large ones, such
   * as scores next to coordinates.
   */
  readonly excess: number
  /** Whether the fp32 model gives one and the same number everywhere, which proves little. */
  readonly constant: boolean
  /** Whether the elements are integers, bools or text: those are the same or not. */
  readonly discrete: boolean
  readonly cosine: number
  /** Length of the output as a vector, as a multiple of the expected one: a wrong scale does not show in the cosine. */
  readonly norm: number
  /**
   * Share of rows (along the last axis) whose largest element is the same; of integers and bools, share of equal
   * elements.
   */
  readonly argmax: number
  /** Rows of a probability distribution whose largest element is at least a tenth larger than the second. */
  readonly decided: number
  /** Those of them whose largest element is the same. */
  readonly sameDecided: number
  /**
   * Symbols of the texts that a sequence of probabilities stands for, and those that changed; absent for outputs of
   * another kind.
   */
  readonly text?: Edits
  /** Elements beyond `atol + rtol * |expected|`; null when neither was given. */
  readonly outside: number | null
  /** Elements that were compared; when there are none, the other figures mean nothing. */
  readonly compared: number
  /** Elements that are NaN or infinite in the fp32 model already. They count for nothing else. */
  readonly nonFinite: number
  /** Whether its elements are probabilities by the operator that makes them, so that their range is 1. */
  readonly probability?: true
  /** Objects that a detector found, of which the output is a part: then other figures mean nothing. */
  readonly objects?: Objects
  /** Why it cannot be compared: another dtype or other dims than expected. */
  readonly trouble?: string
  /** How far the fp32 model is from itself when ONNX Runtime sums in another order; only where that was measured. */
  readonly noise?: { readonly maxAbs: number; readonly argmax: number }
}

/** Figures that are counted while inputs come in. */
export interface Counting extends RowCounting {
  readonly name: string
  readonly tolerance: { readonly atol: number; readonly rtol: number } | undefined
  maxAbs: number
  excess: number
  discrete: boolean
  largest: number
  least: number
  most: number
  dot: number
  squares: [number, number]
  outside: number
  compared: number
  nonFinite: number
  trouble?: string
}

/** Nothing counted yet. */
export function newComparison(name: string, { atol, rtol }: { atol: number | null; rtol: number | null }): Counting {
  const tolerance = atol === null && rtol === null ? undefined : { atol: atol ?? 0, rtol: rtol ?? 0 }
  return {
    name,
    tolerance,
    maxAbs: 0,
    excess: 0,
    discrete: false,
    largest: 0,
    least: Infinity,
    most: -Infinity,
    dot: 0,
    squares: [0, 0],
    rows: 0,
    sameRows: 0,
    decided: 0,
    sameDecided: 0,
    outside: 0,
    compared: 0,
    nonFinite: 0,
  }
}

/** Counts one output for one input. */
export function addSample(
  counting: Counting,
  expected: CheckedTensor | undefined,
  received: CheckedTensor | undefined,
): void {
  const [wanted, given] = textsOf(expected, received) ?? [
    expected && numbersOf(expected),
    received && numbersOf(received),
  ]
  if (!wanted || !given || expected!.dims.join() !== received!.dims.join()) {
    counting.trouble ??= `expected ${tensorText(expected)}, received ${tensorText(received)}`
    return
  }
  for (let i = 0; i < wanted.length; i++) addElement(counting, wanted[i] ?? 0, given[i] ?? 0)
  const width = Math.max(1, expected!.dims.at(-1) ?? 1)
  const isFloat = /^(?:float|bfloat)/.test(expected!.dtype)
  counting.discrete = !isFloat
  if (isFloat && width > 1) {
    addRows(counting, wanted, given, expected!.dims)
    return
  }
  // A row of one has no largest element, and integers are compared one by one.
  counting.rows += wanted.length
  for (let i = 0; i < wanted.length; i++) if (isFloat || wanted[i] === given[i]) counting.sameRows++
}

/** The counted figures, for judging and for people. */
export function finish({
  name,
  tolerance,
  maxAbs,
  excess,
  discrete,
  largest,
  least,
  most,
  dot,
  squares: [a, b],
  rows,
  sameRows,
  decided,
  sameDecided,
  text,
  outside,
  compared,
  nonFinite,
  trouble,
}: Counting): Comparison {
  const cosine = maxAbs === 0 ? 1 : cosineOf(dot, a, b)
  return {
    name,
    maxAbs: Number.isFinite(maxAbs) ? maxAbs : null,
    largest,
    excess: Number.isFinite(excess) ? excess : 0,
    constant: compared > 0 && least === most,
    discrete,
    cosine: Number.isFinite(cosine) ? cosine : 0,
    norm: a === b ? 1 : lengthRatio(a, b),
    argmax: rows === 0 ? 1 : sameRows / rows,
    decided,
    sameDecided,
    ...(text && { text }),
    outside: tolerance ? outside : null,
    compared,
    nonFinite,
    ...(trouble !== undefined && { trouble }),
  }
}

/** Cosine of two vectors that differ, from their product and squares; 0 where one is all zeros and has no direction. */
function cosineOf(dot: number, a: number, b: number): number {
  if (a === 0 || b === 0) return 0
  return Math.min(1, dot / Math.sqrt(a) / Math.sqrt(b))
}

/** Length of b as a multiple of that of a, from their squares; 0 when there is none. */
function lengthRatio(a: number, b: number): number {
  return a === 0 || !Number.isFinite(b) ? 0 : Math.sqrt(b / a)
}

function tensorText(tensor: CheckedTensor | undefined): string {
  return tensor ? `${tensor.dtype}[${tensor.dims.join(', ')}]` : 'nothing'
}

function addElement(counting: Counting, wanted: number, given: number): void {
  if (!Number.isFinite(wanted)) {
    counting.nonFinite++
    return
  }
  counting.compared++
  const distance = Number.isFinite(given) ? Math.abs(wanted - given) : Infinity
  counting.maxAbs = Math.max(counting.maxAbs, distance)
  counting.excess = Math.max(counting.excess, distance - Math.abs(wanted) / 100)
  counting.largest = Math.max(counting.largest, Math.abs(wanted))
  counting.least = Math.min(counting.least, wanted)
  counting.most = Math.max(counting.most, wanted)
  counting.dot += wanted * given
  counting.squares[0] += wanted * wanted
  counting.squares[1] += given * given
  const { tolerance } = counting
  if (tolerance && !(distance <= tolerance.atol + tolerance.rtol * Math.abs(wanted))) counting.outside++
}

// Texts are the same or not: as numbers, 1 where they are.
function textsOf(
  expected: CheckedTensor | undefined,
  received: CheckedTensor | undefined,
): [number[], number[]] | undefined {
  if (expected?.dtype !== 'string' || received?.dtype !== 'string') return undefined
  const [wanted, given] = [expected.data as readonly string[], received.data as readonly string[]]
  return [wanted.map(() => 1), given.map((text, index) => (text === wanted[index] ? 1 : 0))]
}
