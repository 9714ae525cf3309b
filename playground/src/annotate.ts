import type { Image } from './image.ts'
import type { Point, Quad } from './quad.ts'

type Colour = readonly [red: number, green: number, blue: number]

const outline: Colour = [226, 60, 40]
const start: Colour = [20, 110, 220]

/** A copy of the image with each line of text outlined, and a dot where its text starts. */
export function annotate(image: Image, quads: readonly Quad[]): Image {
  const copy = { ...image, data: image.data.slice() }
  for (const quad of quads) {
    for (const [i, corner] of quad.entries()) drawLine(copy, corner, quad[(i + 1) % 4]!, outline)
    drawDot(copy, quad[0], 4, start)
  }
  return copy
}

function drawLine(image: Image, from: Point, to: Point, colour: Colour): void {
  const steps = Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]))
  for (let i = 0; i <= steps; i++) {
    const part = steps === 0 ? 0 : i / steps
    drawDot(image, [from[0] + part * (to[0] - from[0]), from[1] + part * (to[1] - from[1])], 1, colour)
  }
}

function drawDot(image: Image, [x, y]: Point, radius: number, colour: Colour): void {
  for (let py = Math.max(0, Math.ceil(y - radius - 0.5)); py < Math.min(image.height, y + radius); py++) {
    for (let px = Math.max(0, Math.ceil(x - radius - 0.5)); px < Math.min(image.width, x + radius); px++) {
      if (Math.hypot(px + 0.5 - x, py + 0.5 - y) <= radius) image.data.set(colour, (py * image.width + px) * 3)
    }
  }
}
