/** A matrix whose rows are quantized in blocks, and where its elements are. */
export interface BlockLayout {
  readonly rows: number
  /** A multiple of the block. */
  readonly columns: number
  /** Elements from one row to the next, and from one column to the next. */
  readonly strides: { readonly row: number; readonly column: number }
  readonly block: number
}

/** Numbers of 4 bits, row by row: real = scale * (stored - zero), with a scale and a zero for each block. */
export interface Blocks {
  /** One number from 0 to 15 for each element. */
  readonly stored: Uint8Array
  readonly scales: Float32Array<ArrayBuffer>
  readonly zeros: Uint8Array
}

/** Shares of a block's range that are tried: large numbers are rare, and all others get finer steps without them. */
const shares = [1, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7]

/**
 * Quantizes a matrix in blocks along its rows, each with the range of the least squared error. Symmetric blocks have
 * the zero 8, and a scale of either sign, so that the number of the largest magnitude is the 0 of 0 to 15. Undefined
 * when a number is not finite.
 *
 * The ranges are those of the 4-bit quantizers of ONNX Runtime and llama.cpp (Q4_0, Q4_1), but for the search.
 */
export function quantizeBlocks(values: Float32Array, layout: BlockLayout, symmetric: boolean): Blocks | undefined {
  const { rows, columns, strides, block } = layout
  const count = (rows * columns) / block
  const stored = new Uint8Array(rows * columns)
  const scales = new Float32Array(count)
  const zeros = new Uint8Array(count)
  const numbers = new Float64Array(block)
  for (let index = 0; index < count; index++) {
    const first = index * block
    const start = Math.floor(first / columns) * strides.row + (first % columns) * strides.column
    for (let at = 0; at < block; at++) numbers[at] = values[start + at * strides.column]!
    const best = bestRange(numbers, symmetric)
    if (!best) return undefined
    scales[index] = best.scale
    zeros[index] = best.zero
    for (let at = 0; at < block; at++) stored[first + at] = levelOf(numbers[at]!, best)
  }
  return { stored, scales, zeros }
}

interface Range {
  readonly scale: number
  readonly zero: number
}

function bestRange(numbers: Float64Array, symmetric: boolean): Range | undefined {
  let [low, high] = [0, 0]
  for (const value of numbers) {
    if (!Number.isFinite(value)) return undefined
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  let best: Range = { scale: 1, zero: 8 }
  let least = Infinity
  for (const share of shares) {
    const range = symmetric ? symmetricRange(low * share, high * share) : fullRange(low * share, high * share)
    if (!range) return best
    let error = 0
    for (const value of numbers) error += (range.scale * (levelOf(value, range) - range.zero) - value) ** 2
    if (error >= least) continue
    best = range
    least = error
  }
  return best
}

function symmetricRange(low: number, high: number): Range | undefined {
  const scale = Math.fround((high > -low ? high : low) / -8)
  return scale === 0 ? undefined : { scale, zero: 8 }
}

function fullRange(low: number, high: number): Range | undefined {
  const scale = Math.fround((high - low) / 15)
  return scale === 0 ? undefined : { scale, zero: clamped(-low / scale) }
}

function levelOf(value: number, { scale, zero }: Range): number {
  return clamped(value / scale + zero)
}

function clamped(value: number): number {
  return Math.max(0, Math.min(15, Math.round(value)))
}

/** Two numbers in a byte, the first one in its low half; each row starts a byte. */
export function packed(numbers: Uint8Array, inRow: number): Uint8Array<ArrayBuffer> {
  const bytesInRow = Math.ceil(inRow / 2)
  const bytes = new Uint8Array((numbers.length / inRow) * bytesInRow)
  numbers.forEach((number, index) => {
    const column = index % inRow
    const at = Math.floor(index / inRow) * bytesInRow + (column >> 1)
    bytes[at] = bytes[at]! | (number << (4 * (column % 2)))
  })
  return bytes
}
