/** What was seen of one tensor. A type, so that it is JSON. */
export type Range = {
  /** Of the finite values. */
  readonly min: number
  readonly max: number
  /** [low, high] that loses the least information in 8 bits. */
  readonly entropy: readonly [number, number]
  /** [low, high] that the asked percentage of the values lies in. */
  readonly percentile: readonly [number, number]
  /** How many values were NaN or infinite. */
  readonly nonFinite: number
}

/** The values of one tensor, counted as they stream by. The order in which they come does not matter. */
export interface Histogram {
  min: number
  max: number
  /** How many values have these upper 16 bits as a float32: sign, exponent and 7 bits of the mantissa, so within 0.8 % of each other. */
  readonly counts: Float64Array
}

export function newHistogram(): Histogram {
  return { min: Infinity, max: -Infinity, counts: new Float64Array(2 ** 16) }
}

/** What is known of a tensor of which only some values are at hand. */
export interface Whole {
  /** How many values each one stands for. */
  readonly weight: number
  readonly min: number
  readonly max: number
  /** Whether all values are finite. */
  readonly finite: boolean
}

/** Counts the values of a tensor, or some of them when `whole` tells of the others. */
export function addValues(histogram: Histogram, values: Float32Array, whole?: Whole): void {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const { counts } = histogram
  const weight = whole?.weight ?? 1
  for (let index = 0; index < bits.length; index++) counts[bits[index]! >>> 16]! += weight
  if (whole && !whole.finite) counts[0x7f80]!++
  let [min, max] = [whole?.min ?? Infinity, whole?.max ?? -Infinity]
  // Comparisons with NaN are false.
  if (!whole) {
    for (const value of values) {
      if (value < min) min = value
      if (value > max) max = value
    }
  }
  histogram.min = Math.max(Math.min(min, histogram.min), -largest)
  histogram.max = Math.min(Math.max(max, histogram.max), largest)
}

const largest = 3.4028234663852886e38

/** The ranges that the methods of calibration find. `percentile` is a percentage above 50. */
export function rangeOf({ min, max, counts }: Histogram, percentile: number): Range {
  const { bins, nonFinite } = sortedBins(counts)
  const first = bins[0]
  if (!first) return { min: 0, max: 0, entropy: [0, 0], percentile: [0, 0], nonFinite }
  const threshold = entropyThreshold(bins, Math.max(-min, max))
  const clip = (value: number) => Math.min(max, Math.max(min, value))
  const tail = (100 - percentile) / 200
  const total = bins.reduce((sum, { count }) => sum + count, 0)
  return {
    min,
    max,
    entropy: [clip(-threshold), clip(threshold)],
    percentile: [clip(quantile(bins, total * tail, 'low')), clip(quantile(bins, total * (1 - tail), 'high'))],
    nonFinite,
  }
}

interface Bin {
  readonly low: number
  readonly high: number
  readonly count: number
}

// Ascending, without the empty ones; NaN and infinity have an exponent of all ones.
function sortedBins(counts: Float64Array): { bins: Bin[]; nonFinite: number } {
  const bins: Bin[] = []
  let nonFinite = 0
  counts.forEach((count, bin) => {
    if (count === 0) return
    const magnitude = bin & 0x7fff
    if (magnitude >= 0x7f80) nonFinite += count
    else if (bin < 0x8000) bins.push({ low: edge(magnitude), high: edge(magnitude + 1), count })
    else bins.push({ low: -edge(magnitude + 1), high: -edge(magnitude), count })
  })
  return { bins: bins.sort((a, b) => a.low - b.low), nonFinite }
}

const edgeBits = new Uint32Array(1)
const edgeValue = new Float32Array(edgeBits.buffer)

function edge(magnitude: number): number {
  edgeBits[0] = magnitude << 16
  return Math.min(edgeValue[0]!, largest)
}

// The outer edge of the bin that holds the value of this rank.
function quantile(bins: readonly Bin[], rank: number, side: 'low' | 'high'): number {
  let seen = 0
  for (const bin of bins) {
    seen += bin.count
    if (seen >= rank) return bin[side]
  }
  return bins.at(-1)?.high ?? 0
}

const linearBins = 2048
const levels = 128
const step = 32

/**
 * The threshold of |x| whose 128 levels have the least Kullback-Leibler divergence from the values, by TensorRT's calibration
 * (S. Migacz, "8-bit Inference with TensorRT", GTC 2017): 2048 bins, what lies beyond the threshold counts in the last bin.
 */
function entropyThreshold(bins: readonly Bin[], largestMagnitude: number): number {
  const linear = linearHistogram(bins, largestMagnitude)
  const total = linear.reduce((sum, count) => sum + count, 0)
  if (total === 0) return largestMagnitude
  let best = { divergence: Infinity, threshold: largestMagnitude }
  let inside = 0
  let counted = 0
  for (let length = levels; length <= linearBins; length += step) {
    for (; counted < length; counted++) inside += linear[counted]!
    const divergence = divergenceOf(linear, length, total - inside)
    // The longest of equals keeps more of the values.
    if (divergence <= best.divergence) best = { divergence, threshold: ((length + 0.5) * largestMagnitude) / linearBins }
  }
  return Math.min(best.threshold, largestMagnitude)
}

// Zeros, which an activation function makes many of, are exact at any scale: they would hide the rest.
function linearHistogram(bins: readonly Bin[], largestMagnitude: number): Float64Array {
  const linear = new Float64Array(linearBins)
  const width = largestMagnitude / linearBins
  for (const { low, high, count } of bins) {
    const [from, to] = low < 0 ? [-high / width, -low / width] : [low / width, high / width]
    const share = count / (to - from)
    const last = Math.min(linearBins - 1, Math.floor(to))
    for (let bin = Math.min(last, Math.floor(from)); bin <= last; bin++) {
      const part = Math.min(bin === linearBins - 1 ? Infinity : bin + 1, to) - Math.max(bin, from)
      linear[bin]! += share * Math.max(0, part)
    }
  }
  linear[0] = linear[1]!
  return linear
}

function divergenceOf(linear: Float64Array, length: number, outside: number): number {
  // Each level spreads what it holds evenly over its bins that are not empty.
  let [sumP, sumQ] = [outside, 0]
  for (let bin = 0; bin < length; bin++) sumP += linear[bin]!
  sumQ = sumP - outside
  if (sumQ === 0) return Infinity
  let divergence = 0
  for (let level = 0; level < levels; level++) {
    const [start, end] = [Math.floor((level * length) / levels), Math.floor(((level + 1) * length) / levels)]
    let count = 0
    let filled = 0
    for (let bin = start; bin < end; bin++) {
      count += linear[bin]!
      if (linear[bin]! > 0) filled++
    }
    for (let bin = start; bin < end; bin++) {
      const p = (linear[bin]! + (bin === length - 1 ? outside : 0)) / sumP
      // A bin that only outliers fill has q = 0; a small share keeps the divergence finite.
      const q = linear[bin]! > 0 ? count / filled / sumQ : 1e-9
      if (p > 0) divergence += p * Math.log(p / q)
    }
  }
  return divergence
}
