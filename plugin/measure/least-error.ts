/** Values counted in bins of equal width between -limit and limit, without zeros, and the range that holds them all. */
export interface Counted {
  readonly counts: Float64Array
  readonly limit: number
  readonly min: number
  readonly max: number
}

/** The ends of a range. */
export type Interval = readonly [low: number, high: number]

// Ends in steps of 1/64 of the range, down to 1/16 of it: a finer or tighter cut never won on the nets that were tried.
const fractions = Array.from({ length: 61 }, (_, index) => (64 - index) / 64)

/**
 * The ranges whose 8-bit form has the least squared error: what rounding loses inside, a twelfth of the squared step
 * for each value, and what clamping loses outside (R. Banner et al., "Post training 4-bit quantization of convolutional
 * networks for rapid-deployment", NeurIPS 2019, equation 2, with the histogram instead of a Laplace distribution).
 * Zeros cost nothing, as they are exact at any scale. `int8` is symmetric; both ends of `uint8` move.
 */
export function leastErrorRanges(counted: Counted): { readonly int8: Interval; readonly uint8: Interval } {
  const { min, max } = counted
  const largest = Math.max(-min, max)
  const clamping = clampingOf(counted)
  const cost = (low: number, high: number, step: number) => {
    const [below, above] = [clamping.below(low), clamping.above(high)]
    return below.error + above.error + ((clamping.total - below.count - above.count) * step ** 2) / 12
  }
  const symmetric = fractions.map((part) => largest * part)
  const threshold = cheapest(symmetric, (end) => cost(-end, end, end / 127))
  const lows = min < 0 ? fractions.map((part) => min * part) : [min]
  const highs = max > 0 ? fractions.map((part) => max * part) : [max]
  const pairs = lows.flatMap((low) => highs.map((high): Interval => [low, high]))
  // Zero is always inside a range of uint8.
  const uint8 = cheapest(pairs, ([low, high]) => cost(low, high, (Math.max(0, high) - Math.min(0, low)) / 255))
  return { int8: [Math.max(min, -threshold), Math.min(max, threshold)], uint8 }
}

/** How many values are beyond an end of the range, and the sum of their squared distances from it. */
interface Clamped {
  readonly count: number
  readonly error: number
}

// Sums of the bins before each one, so that each end of a range costs the same.
function clampingOf({ counts, limit }: Counted): {
  readonly total: number
  readonly below: (low: number) => Clamped
  readonly above: (high: number) => Clamped
} {
  const width = (2 * limit) / counts.length
  const sums = [0, 1, 2].map(() => new Float64Array(counts.length + 1))
  counts.forEach((count, bin) => {
    const value = (bin + 0.5) * width - limit
    sums.forEach((sum, power) => (sum[bin + 1] = sum[bin]! + count * value ** power))
  })
  const upTo = (bin: number) => sums.map((sum) => sum[bin]!) as [number, number, number]
  const all = upTo(counts.length)
  const edge = (value: number) => Math.min(counts.length, Math.max(0, Math.round((value + limit) / width)))
  return {
    total: all[0],
    below: (low) => clamped(upTo(edge(low)), low),
    above: (high) => {
      const inside = upTo(edge(high))
      return clamped([all[0] - inside[0], all[1] - inside[1], all[2] - inside[2]], high)
    },
  }
}

function clamped([count, sum, squares]: readonly [number, number, number], end: number): Clamped {
  return { count, error: Math.max(0, squares - 2 * end * sum + end ** 2 * count) }
}

// The first of equals, which is the widest.
function cheapest<T>(candidates: readonly T[], cost: (candidate: T) => number): T {
  const costs = candidates.map(cost)
  return candidates[costs.indexOf(costs.reduce((least, next) => Math.min(least, next)))]!
}
