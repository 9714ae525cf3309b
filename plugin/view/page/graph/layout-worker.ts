import { layoutGraph, type LayoutRequest } from './layout.ts'

// Answers each request with a layout, so that the page stays responsive.
addEventListener('message', ({ data }: MessageEvent<{ readonly id: number; readonly request: LayoutRequest }>) => {
  postMessage({ id: data.id, layout: layoutGraph(data.request) })
})
