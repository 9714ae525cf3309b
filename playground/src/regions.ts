import type { Point } from './quad.ts'
import { minAreaRectangle, unclip, type Rectangle } from './rectangle.ts'

/** For each pixel the probability that it belongs to the core of a text line, row by row. */
export interface ProbabilityMap {
  readonly width: number
  readonly height: number
  readonly data: Float32Array
}

// PaddleOCR's constants for this detector (det_db_thresh, det_db_box_thresh, min_size). Its unclip ratio is 1.5; with
// 1.6 the recogniser keeps more of the spaces between words.
const pixelThreshold = 0.3
const regionThreshold = 0.6
const unclipRatio = 1.6
const minSide = 3

/**
 * Post-processing of a DB detector: every connected region of likely pixels becomes a rectangle around a line of text.
 */
export function findRegions(map: ProbabilityMap): Rectangle[] {
  const found: Rectangle[] = []
  for (const outline of outlines(map)) {
    const core = minAreaRectangle(outline)
    if (Math.min(core.width, core.height) < minSide || meanInside(map, core) < regionThreshold) continue
    const region = unclip(core, unclipRatio)
    if (Math.min(region.width, region.height) >= minSide + 2) found.push(region)
  }
  return found
}

// The outer corners of the rows of each 8-connected region, which is enough for a convex hull. The flood fill has its
// own stack, because regions are large.
function outlines({ width, height, data }: ProbabilityMap): Point[][] {
  const seen = new Uint8Array(width * height)
  const found: Point[][] = []
  const stack: number[] = []
  const visit = (x: number, y: number): void => {
    const at = y * width + x
    if (x < 0 || y < 0 || x >= width || y >= height || seen[at] || data[at]! <= pixelThreshold) return
    seen[at] = 1
    stack.push(at)
  }
  for (let start = 0; start < data.length; start++) {
    visit(start % width, Math.floor(start / width))
    if (stack.length === 0) continue
    const ends = new Map<number, [left: number, right: number]>()
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const [x, y] = [at % width, Math.floor(at / width)]
      const [left, right] = ends.get(y) ?? [x, x]
      ends.set(y, [Math.min(left, x), Math.max(right, x)])
      for (const dy of [-1, 0, 1]) for (const dx of [-1, 0, 1]) visit(x + dx, y + dy)
    }
    found.push(
      [...ends].flatMap(([y, [left, right]]): Point[] => [
        [left, y],
        [left, y + 1],
        [right + 1, y],
        [right + 1, y + 1],
      ]),
    )
  }
  return found
}

function meanInside(map: ProbabilityMap, { centre, axis, width, height }: Rectangle): number {
  const reach = Math.hypot(width, height) / 2
  const [top, bottom] = [Math.max(0, Math.floor(centre[1] - reach)), Math.min(map.height, Math.ceil(centre[1] + reach))]
  const [left, right] = [Math.max(0, Math.floor(centre[0] - reach)), Math.min(map.width, Math.ceil(centre[0] + reach))]
  let [sum, count] = [0, 0]
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const [dx, dy] = [x + 0.5 - centre[0], y + 0.5 - centre[1]]
      if (Math.abs(dx * axis[0] + dy * axis[1]) > width / 2 || Math.abs(dy * axis[0] - dx * axis[1]) > height / 2)
        continue
      sum += map.data[y * map.width + x]!
      count++
    }
  }
  return count === 0 ? 0 : sum / count
}
