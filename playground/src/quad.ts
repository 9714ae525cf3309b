/** x to the right and y down, in pixels; a pixel's centre is at +0.5. */
export type Point = readonly [x: number, y: number]

/**
 * The corners of a parallelogram, clockwise from the top left of its text. For text that is upside down, that is the
 * bottom right in the image.
 */
export type Quad = readonly [Point, Point, Point, Point]

/** The same corners after `quarters` quarter turns: 2 turns the text upside down. */
export function turn(quad: Quad, quarters: number): Quad {
  const corner = (i: number): Point => quad[((((i + quarters) % 4) + 4) % 4) as 0 | 1 | 2 | 3]
  return [corner(0), corner(1), corner(2), corner(3)]
}

/** Length along the text and across it. */
export function sizeOf([a, b, , d]: Quad): { readonly width: number; readonly height: number } {
  return { width: Math.hypot(b[0] - a[0], b[1] - a[1]), height: Math.hypot(d[0] - a[0], d[1] - a[1]) }
}

export function scaleQuad(quad: Quad, x: number, y: number): Quad {
  const scaled = (p: Point): Point => [p[0] * x, p[1] * y]
  return [scaled(quad[0]), scaled(quad[1]), scaled(quad[2]), scaled(quad[3])]
}

/**
 * Sorts lines as a person reads them: row after row, and along each row. "Down" and "along" are directions of the text
 * itself, so a page that is upside down or on its side is read from its own top.
 */
export function readingOrder<T extends { readonly quad: Quad }>(lines: readonly T[]): T[] {
  const [alongX, alongY] = commonDirection(lines.map(({ quad }) => quad))
  const placed = lines.map((line) => {
    const [x, y] = centreOf(line.quad)
    return { line, along: x * alongX + y * alongY, down: y * alongX - x * alongY, height: sizeOf(line.quad).height }
  })
  const rows: (typeof placed)[] = []
  for (const item of placed.sort((a, b) => a.down - b.down)) {
    const row = rows.at(-1)
    const first = row?.[0]
    if (row && first && item.down - first.down < Math.min(item.height, first.height) / 2) row.push(item)
    else rows.push([item])
  }
  return rows.flatMap((row) => row.sort((a, b) => a.along - b.along)).map(({ line }) => line)
}

function centreOf([a, , c]: Quad): Point {
  return [(a[0] + c[0]) / 2, (a[1] + c[1]) / 2]
}

// Long lines show the direction of the text better than short ones, so their vectors are summed unscaled.
function commonDirection(quads: readonly Quad[]): Point {
  let [x, y] = [0, 0]
  for (const [a, b] of quads) {
    x += b[0] - a[0]
    y += b[1] - a[1]
  }
  const length = Math.hypot(x, y)
  return length === 0 ? [1, 0] : [x / length, y / length]
}
