import { boxSize, type Layout } from './layout.ts'
import type { VisibleGraph } from './visible.ts'

/** Where the drawing is on the canvas: canvas = drawing * scale + offset. */
export type Camera = { readonly x: number; readonly y: number; readonly scale: number }

/** Colours of the theme, as CSS text. */
export type Palette = {
  readonly line: string
  readonly lineMarked: string
  readonly box: string
  readonly border: string
  readonly text: string
  readonly muted: string
  readonly accent: string
  readonly hues: readonly string[]
}

/** All that a picture is made of. */
export type Scene = {
  readonly visible: VisibleGraph
  readonly layout: Layout
  readonly hueOf: readonly (number | undefined)[]
  readonly selected: number | undefined
  /** Boxes on the path to an input or output; empty without one. */
  readonly path: ReadonlySet<number>
  /** Boxes that a search finds; undefined without one. */
  readonly found: ReadonlySet<number> | undefined
}

/** Draws what is inside of the canvas: boxes and lines elsewhere cost one comparison. */
export function drawScene(context: CanvasRenderingContext2D, scene: Scene, camera: Camera, palette: Palette): void {
  const { width, height } = context.canvas
  const ratio = devicePixelRatio
  context.setTransform(1, 0, 0, 1, 0, 0)
  context.clearRect(0, 0, width, height)
  context.setTransform(camera.scale * ratio, 0, 0, camera.scale * ratio, camera.x * ratio, camera.y * ratio)
  const top = -camera.y / camera.scale
  const left = -camera.x / camera.scale
  const view = { top, left, bottom: top + height / ratio / camera.scale, right: left + width / ratio / camera.scale }
  drawLines(context, scene, view, { camera, palette })
  drawBoxes(context, scene, view, { camera, palette })
}

/** The box at a point of the canvas. */
export function boxAt({ layout }: Pick<Scene, 'layout'>, camera: Camera, x: number, y: number): number | undefined {
  const [px, py] = [(x - camera.x) / camera.scale, (y - camera.y) / camera.scale]
  const { width, height } = boxSize
  const index = layout.y.findIndex(
    (centre, index) => Math.abs(centre - py) <= height / 2 && Math.abs((layout.x[index] ?? 0) - px) <= width / 2,
  )
  return index < 0 ? undefined : index
}

type View = { readonly top: number; readonly left: number; readonly bottom: number; readonly right: number }
type Style = { readonly camera: Camera; readonly palette: Palette }

function drawLines(context: CanvasRenderingContext2D, scene: Scene, view: View, { camera, palette }: Style): void {
  const marked: Float64Array[] = []
  context.beginPath()
  for (const [index, route] of scene.layout.routes.entries()) {
    const last = route.length - 1
    const y1 = route[1] ?? 0
    const y2 = route[last] ?? 0
    if (Math.min(y1, y2) > view.bottom || Math.max(y1, y2) < view.top) continue
    const [from, to] = scene.visible.lines[index] ?? [0, 0]
    if (scene.path.has(from) && scene.path.has(to)) marked.push(route)
    else traceRoute(context, route, view, camera.scale)
  }
  context.lineWidth = Math.max(1, 0.8 / camera.scale)
  context.strokeStyle = palette.line
  context.stroke()
  if (marked.length === 0) return
  context.beginPath()
  for (const route of marked) traceRoute(context, route, view, camera.scale)
  context.lineWidth = Math.max(2.5, 1.5 / camera.scale)
  context.strokeStyle = palette.lineMarked
  context.stroke()
}

// Seen from afar, curves are straight.
function traceRoute(context: CanvasRenderingContext2D, route: Float64Array, view: View, scale: number): void {
  const half = boxSize.height / 2
  const last = route.length / 2 - 2
  for (let step = 0; step <= last; step++) {
    const x1 = route[step * 2] ?? 0
    const y1 = (route[step * 2 + 1] ?? 0) + half
    const x2 = route[step * 2 + 2] ?? 0
    const y2 = (route[step * 2 + 3] ?? 0) + (step === last ? -half : half)
    if (y1 > view.bottom || y2 < view.top) continue
    context.moveTo(x1, y1)
    if (scale < 0.25 || x1 === x2) context.lineTo(x2, y2)
    else context.bezierCurveTo(x1, (y1 + y2) / 2, x2, (y1 + y2) / 2, x2, y2)
  }
}

function drawBoxes(context: CanvasRenderingContext2D, scene: Scene, view: View, { camera, palette }: Style): void {
  const { width, height } = boxSize
  const { layout, visible, hueOf, selected, path, found } = scene
  const hasText = camera.scale > 0.35
  const isDimmed = path.size > 0 || found !== undefined
  for (const [index, box] of visible.boxes.entries()) {
    const left = (layout.x[index] ?? 0) - width / 2
    const top = (layout.y[index] ?? 0) - height / 2
    if (top > view.bottom || top + height < view.top || left > view.right || left + width < view.left) continue
    const hue = hueOf[index]
    const isSelected = index === selected
    const isLit = !isDimmed || isSelected || path.has(index) || found?.has(index)
    context.globalAlpha = isLit ? 1 : 0.25
    const colour = hue === undefined ? palette.border : (palette.hues[hue] ?? palette.border)
    if (!hasText) {
      context.fillStyle = isSelected ? palette.accent : colour
      context.fillRect(left, top, width, height)
      continue
    }
    drawBox(context, { left, top, isSelected, isScope: box.scope !== undefined }, colour, palette)
    const name = box.scope === undefined ? box.detail : `${box.nodes.length} nodes`
    context.fillStyle = palette.text
    context.font = '600 12px system-ui, sans-serif'
    context.fillText(fit(box.title, 19), left + 14, top + 17)
    context.fillStyle = palette.muted
    context.font = '10px system-ui, sans-serif'
    context.fillText(fit(name, 24), left + 14, top + 31)
  }
  context.globalAlpha = 1
}

type BoxShape = {
  readonly left: number
  readonly top: number
  readonly isSelected: boolean
  readonly isScope: boolean
}

function drawBox(
  context: CanvasRenderingContext2D,
  { left, top, isSelected, isScope }: BoxShape,
  colour: string,
  palette: Palette,
): void {
  const { width, height } = boxSize
  if (isScope) {
    context.strokeStyle = palette.border
    context.lineWidth = 1
    context.strokeRect(left + 4, top + 4, width, height)
  }
  context.fillStyle = palette.box
  context.fillRect(left, top, width, height)
  context.fillStyle = colour
  context.fillRect(left, top, 5, height)
  context.strokeStyle = isSelected ? palette.accent : palette.border
  context.lineWidth = isSelected ? 2.5 : 1
  context.strokeRect(left, top, width, height)
}

// The end of a name tells more than its start, which is that of its neighbours.
function fit(text: string, length: number): string {
  const line = text.slice(0, 300).replace(/\p{C}/gu, '\uFFFD')
  return line.length > length ? `…${line.slice(1 - length)}` : line
}
