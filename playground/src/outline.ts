/// <reference lib="dom" />
import type { Quad } from './quad.ts'

/** Draws the place of a line of text on a canvas. */
export function outline(canvas: HTMLCanvasElement, quad: Quad): void {
  const context = canvas.getContext('2d')
  if (!context) return
  context.strokeStyle = '#e8590c'
  context.lineWidth = 2
  context.beginPath()
  for (const [x, y] of quad) context.lineTo(x, y)
  context.closePath()
  context.stroke()
}
