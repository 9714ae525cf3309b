import { turn, type Point, type Quad } from './quad.ts'

/** A rectangle at any angle. `axis` is the unit vector along `width`. */
export interface Rectangle {
  readonly centre: Point
  readonly axis: Point
  readonly width: number
  readonly height: number
}

/**
 * The smallest rectangle around points: one of its sides is on an edge of their convex hull (Freeman and Shapira,
 * 1975).
 */
export function minAreaRectangle(points: readonly Point[]): Rectangle {
  const hull = convexHull(points)
  let best: Rectangle | undefined
  for (const [i, from] of hull.entries()) {
    const to = hull[(i + 1) % hull.length] ?? from
    const length = Math.hypot(to[0] - from[0], to[1] - from[1])
    const axis: Point = length === 0 ? [1, 0] : [(to[0] - from[0]) / length, (to[1] - from[1]) / length]
    const candidate = boundsAlong(hull, axis)
    if (!best || candidate.width * candidate.height < best.width * best.height) best = candidate
  }
  if (!best) throw new Error('minAreaRectangle: expected at least one point')
  return best
}

/**
 * Grows a rectangle by area * ratio / perimeter on every side. The detector is trained on text regions that were shrunk
 * by that rule ("Real-time Scene Text Detection with Differentiable Binarization", Liao et al., 2020, section 3.4), so
 * this undoes it.
 */
export function unclip(rectangle: Rectangle, ratio: number): Rectangle {
  const { width, height } = rectangle
  const distance = (width * height * ratio) / (2 * (width + height))
  return { ...rectangle, width: width + 2 * distance, height: height + 2 * distance }
}

/** The corners in the direction of text: left to right, or for a tall rectangle bottom to top. */
export function toQuad(rectangle: Rectangle): Quad {
  const {
    centre,
    axis: [x, y],
    width,
    height,
  } = alignedWithX(rectangle)
  const corner = (along: number, down: number): Point => [
    centre[0] + (along * width * x - down * height * y) / 2,
    centre[1] + (along * width * y + down * height * x) / 2,
  ]
  const quad: Quad = [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)]
  // PaddleOCR's rule for a vertical line of text.
  return height >= width * 1.5 ? turn(quad, 3) : quad
}

// Andrew's monotone chain.
function convexHull(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1])
  return sorted.length < 3 ? sorted : [...chain(sorted), ...chain(sorted.reverse())]
}

function chain(points: readonly Point[]): Point[] {
  const side: Point[] = []
  for (const point of points) {
    while (side.length >= 2 && cross(side.at(-2)!, side.at(-1)!, point) <= 0) side.pop()
    side.push(point)
  }
  return side.slice(0, -1)
}

function cross(o: Point, a: Point, b: Point): number {
  return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])
}

function boundsAlong(points: readonly Point[], axis: Point): Rectangle {
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity]
  for (const [x, y] of points) {
    const along = x * axis[0] + y * axis[1]
    const down = y * axis[0] - x * axis[1]
    left = Math.min(left, along)
    right = Math.max(right, along)
    top = Math.min(top, down)
    bottom = Math.max(bottom, down)
  }
  const [along, down] = [(left + right) / 2, (top + bottom) / 2]
  const centre: Point = [along * axis[0] - down * axis[1], along * axis[1] + down * axis[0]]
  return { centre, axis, width: right - left, height: bottom - top }
}

// Four descriptions give the same rectangle; take the one whose axis points most to the right.
function alignedWithX({ centre, axis: [x, y], width, height }: Rectangle): Rectangle {
  if (Math.abs(x) < Math.abs(y)) return alignedWithX({ centre, axis: [-y, x], width: height, height: width })
  return { centre, axis: x < 0 ? [-x, -y] : [x, y], width, height }
}
