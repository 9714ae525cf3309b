import { effect } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { selected } from '../state.ts'
import { theme } from '../theme.ts'
import { type Camera, boxAt, drawScene, type Palette, type Scene } from './scene.ts'
import { coloured, foundNodes, layout, pathNodes, search, toggleScope, visible } from './state.ts'

/** Moves and zooms the drawing; the buttons and keys of the view call it. */
export interface CanvasControl {
  zoom(factor: number): void
  fit(): void
  reveal(node: number): void
}

/** The drawing. Screen readers have the list beside it, which says the same. */
export function GraphCanvas({ control }: { readonly control: { current: CanvasControl | undefined } }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    if (!canvas.current) return undefined
    const drawing = openDrawing(canvas.current)
    control.current = drawing
    return drawing.close
  }, [])
  return <canvas ref={canvas} class="canvas" aria-hidden="true" />
}

function openDrawing(canvas: HTMLCanvasElement): CanvasControl & { close(): void } {
  const context = canvas.getContext('2d')
  let camera: Camera = { x: 0, y: 0, scale: 1 }
  let frame = 0
  let isFitted = false
  const draw = () => {
    frame = 0
    const scene = sceneNow()
    if (context && scene) drawScene(context, scene, camera, paletteOf(canvas))
  }
  const redraw = () => {
    frame ||= requestAnimationFrame(draw)
  }
  const moveTo = (next: Camera) => {
    camera = next
    redraw()
  }
  const zoom = (factor: number, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) => {
    const scale = Math.min(3, Math.max(0.02, camera.scale * factor))
    const change = scale / camera.scale
    moveTo({ scale, x: x - (x - camera.x) * change, y: y - (y - camera.y) * change })
  }
  const fit = () => {
    if (layout.value) moveTo(cameraFor(canvas, layout.value))
  }
  const reveal = (node: number) => {
    const box = visible.value?.boxOf[node] ?? 0
    const scale = Math.max(camera.scale, 0.7)
    const [x, y] = [layout.value?.x[box] ?? 0, layout.value?.y[box] ?? 0]
    moveTo({ scale, x: canvas.clientWidth / 2 - x * scale, y: canvas.clientHeight / 2 - y * scale })
  }
  const resize = new ResizeObserver(() => {
    canvas.width = canvas.clientWidth * devicePixelRatio
    canvas.height = canvas.clientHeight * devicePixelRatio
    if (!isFitted) fit()
    draw()
  })
  resize.observe(canvas)
  const stop = effect(() => {
    const isReady = sceneNow() !== undefined && theme.value !== undefined
    if (isReady && !isFitted) fit()
    isFitted = isReady
    redraw()
  })
  const stopPointer = followPointer(canvas, { camera: () => camera, moveTo, zoom })
  return {
    zoom,
    fit,
    reveal,
    close() {
      stop()
      stopPointer()
      resize.disconnect()
      cancelAnimationFrame(frame)
    },
  }
}

// A long model starts at its inputs, in a size that can be read.
function cameraFor(canvas: HTMLCanvasElement, { width, height }: { width: number; height: number }): Camera {
  const margin = 32
  const across = (canvas.clientWidth - 2 * margin) / width
  const scale = Math.min(1, Math.max(0.4, Math.min(across, (canvas.clientHeight - 2 * margin) / height)))
  return { scale, x: (canvas.clientWidth - width * scale) / 2, y: margin }
}

function sceneNow(): Scene | undefined {
  if (!visible.value || layout.value?.x.length !== visible.value.boxes.length) return undefined
  const { boxOf } = visible.value
  const boxesOf = (nodes: Iterable<number>) => new Set(Array.from(nodes, (node) => boxOf[node] ?? -1))
  return {
    visible: visible.value,
    layout: layout.value,
    hueOf: coloured.value.hueOf,
    selected: selected.value === undefined ? undefined : boxOf[selected.value],
    path: boxesOf(pathNodes.value),
    found: search.value.trim() === '' ? undefined : boxesOf(foundNodes.value.map(({ index }) => index)),
  }
}

const names = ['line', 'lineMarked', 'box', 'border', 'text', 'muted', 'accent'] as const
let palette: { readonly theme: string; readonly value: Palette } | undefined

function paletteOf(canvas: HTMLElement): Palette {
  if (palette?.theme === theme.value) return palette.value
  const style = getComputedStyle(canvas)
  const read = (name: string) => style.getPropertyValue(name).trim()
  const colours = Object.fromEntries(names.map((name) => [name, read(`--canvas-${name}`)])) as Omit<Palette, 'hues'>
  const value = { ...colours, hues: Array.from({ length: 12 }, (_, index) => read(`--hue-${index}`)) }
  palette = { theme: theme.value, value }
  return value
}

type Moving = {
  camera(): Camera
  moveTo(camera: Camera): void
  zoom(factor: number, x: number, y: number): void
}

function followPointer(canvas: HTMLCanvasElement, { camera, moveTo, zoom }: Moving): () => void {
  const abort = new AbortController()
  const { signal } = abort
  let start: { x: number; y: number; camera: Camera } | undefined
  let hasMoved = false
  canvas.addEventListener(
    'pointerdown',
    ({ clientX, clientY, pointerId }) => {
      canvas.setPointerCapture(pointerId)
      start = { x: clientX, y: clientY, camera: camera() }
      hasMoved = false
    },
    { signal },
  )
  canvas.addEventListener(
    'pointermove',
    ({ clientX, clientY }) => {
      if (!start) return
      const [dx, dy] = [clientX - start.x, clientY - start.y]
      hasMoved ||= Math.hypot(dx, dy) > 4
      moveTo({ ...start.camera, x: start.camera.x + dx, y: start.camera.y + dy })
    },
    { signal },
  )
  canvas.addEventListener(
    'pointerup',
    ({ offsetX, offsetY }) => {
      start = undefined
      if (!hasMoved) select(boxUnder(camera(), offsetX, offsetY))
    },
    { signal },
  )
  canvas.addEventListener(
    'dblclick',
    ({ offsetX, offsetY }) => {
      const scope = visible.value?.boxes[boxUnder(camera(), offsetX, offsetY) ?? -1]?.scope
      if (scope !== undefined) toggleScope(scope)
    },
    { signal },
  )
  canvas.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault()
      if (event.ctrlKey || event.metaKey) return zoom(Math.exp(-event.deltaY / 100), event.offsetX, event.offsetY)
      moveTo({ ...camera(), x: camera().x - event.deltaX, y: camera().y - event.deltaY })
    },
    { signal, passive: false },
  )
  return () => abort.abort()
}

function boxUnder(camera: Camera, x: number, y: number): number | undefined {
  return layout.value && boxAt({ layout: layout.value }, camera, x, y)
}

function select(box: number | undefined): void {
  selected.value = box === undefined ? undefined : visible.value?.boxes[box]?.nodes[0]
}
