/** The text of one line. */
export interface Reading {
  readonly text: string
  /** Mean probability of the characters that were kept, 0 to 1; 0 for no text. */
  readonly confidence: number
}

/**
 * Greedy CTC decoding of `steps x classes` probabilities: the likeliest class of each step, repeats merged, blanks
 * dropped. Class 0 is the blank, class i is `keys[i - 1]`.
 */
export function decodeCtc(probabilities: Float32Array, steps: number, keys: readonly string[]): Reading {
  const classes = keys.length + 1
  if (probabilities.length !== steps * classes) {
    throw new Error(
      `CTC: expected ${steps} x ${classes} probabilities for ${keys.length} keys, received ${probabilities.length}`,
    )
  }
  let [text, sum, count, previous] = ['', 0, 0, 0]
  for (let step = 0; step < steps; step++) {
    const row = probabilities.subarray(step * classes, (step + 1) * classes)
    const best = indexOfMax(row)
    if (best !== 0 && best !== previous) {
      text += keys[best - 1]!
      sum += row[best]!
      count++
    }
    previous = best
  }
  return { text, confidence: count === 0 ? 0 : sum / count }
}

function indexOfMax(values: Float32Array): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}
