import { type Interval, leastErrorRanges } from './least-error.ts'

/** What was seen of one tensor. A type, so that it is JSON. */
export type Range = {
  /** Of the samples whose values are all finite; within half a step of 8 bits of the true ones. */
  readonly min: number
  readonly max: number
  /** [low, high] that loses the least information in 8 bits: signed, and unsigned with a zero point. */
  readonly entropy: { readonly int8: Interval; readonly uint8: Interval }
  /** [low, high] that has the least squared error in 8 bits. */
  readonly mse: { readonly int8: Interval; readonly uint8: Interval }
  /** [low, high] that holds the requested percentage of the values. */
  readonly percentile: Interval
  /** In how many samples values were NaN or infinite. */
  readonly nonFinite: number
  /** The most rows, along its last dim, that one sample had. */
  readonly rows: number
}

/** The values of one tensor, counted as they stream by. Their order matters to the last digits only. */
export interface Histogram {
  min: number
  max: number
  nonFinite: number
  rows: number
  /**
   * Bins lie between -limit and limit, which is a power of two so that it can double; 0 until something was counted.
   */
  limit: number
  /** Values apart from those that are 0 in 8 bits. */
  readonly counts: Float64Array
  /** Values that are 0 in 8 bits, and the widest of the steps that they lie in. */
  zeros: number
  step: number
}

const bins = 8192
const half = bins / 2

export function newHistogram(): Histogram {
  return {
    min: Infinity,
    max: -Infinity,
    nonFinite: 0,
    rows: 0,
    limit: 0,
    counts: new Float64Array(bins),
    zeros: 0,
    step: 0,
  }
}

/**
 * One tensor in 8 bits, as the operator DynamicQuantizeLinear gives it: real = scale * (stored - zero), from its least
 * to its largest value.
 */
export interface Stored {
  readonly data: Uint8Array
  readonly scale: number
  readonly zero: number
}

/** Counts the values of a tensor. One that holds NaN or infinity (`finite` is false) counts for nothing else. */
export function addStored(histogram: Histogram, { data, scale, zero }: Stored, finite: boolean): void {
  if (data.length === 0) return
  if (!finite || !Number.isFinite(scale)) {
    histogram.nonFinite++
    return
  }
  const counts = countBytes(data)
  const zeros = counts[zero]!
  // A tensor of zeros has no scale of its own: the operator gives 1.
  const empty = scale === 1 && data.every((stored) => stored === zero)
  const [from, to] = empty ? [zero, zero] : [0, 255]
  histogram.min = Math.min(histogram.min, (from - zero) * scale)
  histogram.max = Math.max(histogram.max, (to - zero) * scale)
  histogram.zeros += zeros
  if (empty) return
  histogram.step = Math.max(histogram.step, scale)
  grow(histogram, Math.max(zero, 255 - zero) * scale)
  const width = histogram.limit / half
  counts.forEach((count, stored) => {
    if (count === 0 || stored === zero) return
    const low = Math.max(-histogram.limit, (stored - zero - 0.5) * scale)
    const high = Math.min(histogram.limit, (stored - zero + 0.5) * scale)
    spread(histogram.counts, low / width + half, high / width + half, count)
  })
}

// Of larger tensors every third or 13th group of four: primes, so that they do not fall into step with rows. The ends
// of the range are exact.
const thinning = [
  [2 ** 24, 13],
  [2 ** 18, 3],
  [0, 1],
] as const

// Two tables, and four bytes at a time: a processor waits for the same counter to be written before it reads it again.
function countBytes(data: Uint8Array): Float64Array {
  const [, stride] = thinning.find(([least]) => data.length >= least)!
  const [even, odd] = [new Uint32Array(256), new Uint32Array(256)]
  const aligned = data.byteOffset % 4 === 0 ? data : data.slice()
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >> 2)
  for (let index = 0; index < words.length; index += stride) {
    const word = words[index]!
    even[word & 255]!++
    odd[(word >>> 8) & 255]!++
    even[(word >>> 16) & 255]!++
    odd[word >>> 24]!++
  }
  for (let index = words.length * 4; index < aligned.length; index++) even[aligned[index]!]!++
  return Float64Array.from(even, (count, stored) => (count + odd[stored]!) * stride)
}

function grow(histogram: Histogram, largest: number): void {
  const { counts, limit } = histogram
  if (largest <= limit) return
  const needed = 2 ** Math.ceil(Math.log2(largest))
  if (limit > 0) {
    const times = needed / limit
    const before = counts.slice()
    counts.fill(0)
    before.forEach((count, bin) => {
      counts[Math.min(bins - 1, Math.max(0, Math.floor((bin + 0.5 - half) / times + half)))]! += count
    })
  }
  histogram.limit = needed
}

function spread(counts: Float64Array, from: number, to: number, count: number): void {
  const share = count / (to - from)
  const last = Math.min(counts.length - 1, Math.ceil(to) - 1)
  for (let bin = Math.floor(from); bin <= last; bin++)
    counts[bin]! += share * (Math.min(bin + 1, to) - Math.max(bin, from))
}

/**
 * The ranges that the methods of calibration find. `percentile` is a percentage above 50, of which half is cut from
 * each side.
 */
export function rangeOf(histogram: Histogram, percentile: number): Range {
  const { min, max, nonFinite, rows, limit } = histogram
  if (limit === 0) return { min: 0, max: 0, entropy: none, mse: none, percentile: [0, 0], nonFinite, rows }
  const clip = (low: number, high: number): Interval => [Math.max(min, low), Math.min(max, high)]
  const magnitudes = magnitudesOf(histogram, Math.max(-min, max))
  const entropy = (levels: number): Interval => {
    const threshold = entropyThreshold(magnitudes, levels, Math.max(-min, max))
    return clip(-threshold, threshold)
  }
  const int8 = entropy(128)
  const tail = (100 - percentile) / 200
  return {
    min,
    max,
    entropy: { int8, uint8: min < 0 ? int8 : entropy(256) },
    mse: leastErrorRanges(histogram),
    percentile: clip(quantile(histogram, tail, 'low'), quantile(histogram, 1 - tail, 'high')),
    nonFinite,
    rows,
  }
}

const none: Range['mse'] = { int8: [0, 0], uint8: [0, 0] }

// The outer edge of the bin that holds the value of this rank.
function quantile({ counts, zeros, limit }: Histogram, share: number, side: 'low' | 'high'): number {
  const rank = share * counts.reduce((sum, count) => sum + count, zeros)
  let seen = 0
  for (let bin = 0; bin < bins; bin++) {
    if (bin === half) {
      seen += zeros
      if (seen >= rank) return 0
    }
    seen += counts[bin]!
    if (seen >= rank) return ((bin + (side === 'low' ? 0 : 1) - half) * limit) / half
  }
  return limit
}

const magnitudeBins = 2048

// Zeros, which an activation function makes many of, are exact at any scale: they would hide the rest. The
// count of their neighbours replaces theirs, as Nvidia's calibrators do it with their first bin.
function magnitudesOf({ counts, limit, step }: Histogram, largest: number): Float64Array {
  const magnitudes = new Float64Array(magnitudeBins)
  const width = (largest / magnitudeBins) * (half / limit)
  counts.forEach((count, bin) => {
    if (count === 0) return
    const place = bin < half ? half - 1 - bin : bin - half
    spread(
      magnitudes,
      Math.min(magnitudeBins - 1e-9, place / width),
      Math.min(magnitudeBins, (place + 1) / width),
      count,
    )
  })
  const around = Math.min(magnitudeBins - 1, Math.ceil(((step / 2) * magnitudeBins) / largest))
  magnitudes.fill(magnitudes[around]!, 0, around)
  return magnitudes
}

const stride = 32

/**
 * The threshold of |x| whose levels have the least Kullback-Leibler divergence from the values, by TensorRT's
 * calibration (S. Migacz, "8-bit Inference with TensorRT", GTC 2017), with the settings of Nvidia's
 * pytorch-quantization: 2048 bins, 128 levels of signed values and 256 of unsigned ones; values beyond the threshold
 * count in the last bin. ONNX Runtime's entropy calibrator has 128 bins for 128 levels of both signs by default, so
 * that its only candidate is the largest magnitude: it gives what minmax gives.
 */
function entropyThreshold(magnitudes: Float64Array, levels: number, largest: number): number {
  const total = magnitudes.reduce((sum, count) => sum + count, 0)
  let best = { divergence: Infinity, threshold: largest }
  let inside = 0
  let counted = 0
  for (let length = levels; length <= magnitudeBins; length += stride) {
    for (; counted < length; counted++) inside += magnitudes[counted]!
    const divergence = divergenceOf(magnitudes, length, levels, total - inside)
    // The longest of equals keeps more of the values.
    if (divergence <= best.divergence) best = { divergence, threshold: (length * largest) / magnitudeBins }
  }
  return best.threshold
}

function divergenceOf(magnitudes: Float64Array, length: number, levels: number, outside: number): number {
  let sumP = outside
  for (let bin = 0; bin < length; bin++) sumP += magnitudes[bin]!
  const sumQ = sumP - outside
  if (sumQ === 0) return Infinity
  let divergence = 0
  for (let level = 0; level < levels; level++) {
    const [start, end] = [Math.floor((level * length) / levels), Math.floor(((level + 1) * length) / levels)]
    let count = 0
    let filled = 0
    for (let bin = start; bin < end; bin++) {
      count += magnitudes[bin]!
      if (magnitudes[bin]! > 0) filled++
    }
    // Each level spreads what it holds evenly over its bins that are not empty.
    for (let bin = start; bin < end; bin++) {
      const p = (magnitudes[bin]! + (bin === length - 1 ? outside : 0)) / sumP
      // A bin that only outliers fill has q = 0; a small share keeps the divergence finite.
      const q = magnitudes[bin]! > 0 ? count / filled / sumQ : 1e-9
      if (p > 0) divergence += p * Math.log(p / q)
    }
  }
  return divergence
}
