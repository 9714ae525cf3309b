import { encodePng, warp, type Image } from './image.ts'
import { sizeOf, type Quad } from './quad.ts'

/** A line of text, its place, and the confidence of the recogniser (0 to 1). */
export interface Line {
  readonly quad: Quad
  readonly text: string
  readonly confidence: number
}

/** What the app did with one image. `milliseconds` has one entry per stage, in the order in which they ran. */
export interface Result {
  readonly name: string
  readonly lines: readonly Line[]
  readonly milliseconds: Readonly<Record<string, number>>
}

/** A page for one image, with all of its images inside it. */
export function imagePage({ name, lines, milliseconds }: Result, image: Image, annotated: Uint8Array): string {
  const rows = lines.map(({ quad, text, confidence }, i) =>
    [
      `<tr><td>${i + 1}<td><img src="${dataUrl(encodePng(cropOf(image, quad)))}" alt="">`,
      `<td lang="zh">${escapeHtml(text)}<td>${percent(confidence)}`,
    ].join(''),
  )
  const allText = lines.map(({ text }) => text).join(' ')
  return page(name, [
    '<p><a href="index.html">All images</a>',
    `<p>${Object.entries(milliseconds)
      .map(([stage, ms]) => `${stage} ${ms.toFixed(0)} ms`)
      .join(', ')}`,
    `<p><img src="${dataUrl(annotated)}" width="${image.width}" alt="${escapeHtml(allText)}">`,
    '<p>Red is what the detector found; the blue dot marks the start of the text, after the angle classifier.',
    '<table><tr><th>#<th>Cut out and turned upright<th>Text<th>Confidence',
    ...rows,
    '</table>',
  ])
}

export function indexPage(results: readonly Result[]): string {
  const rows = results.map(({ name, lines, milliseconds }) =>
    [
      `<tr><td><a href="${name}.html">${escapeHtml(name)}</a><td>${lines.length}<td>${percent(lowest(lines))}`,
      `<td>${Object.values(milliseconds)
        .reduce((sum, ms) => sum + ms, 0)
        .toFixed(0)} ms`,
    ].join(''),
  )
  return page('What the playground read', [
    '<table><tr><th>Image<th>Lines<th>Least sure line<th>Time',
    ...rows,
    '</table>',
  ])
}

function page(title: string, body: readonly string[]): string {
  return [
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
    `<title>${escapeHtml(title)}</title>`,
    '<style>',
    'body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto }',
    'body { padding: 0 1rem; color: #1c1e21 }',
    'img { max-width: 100%; vertical-align: middle }',
    'td img { max-height: 2.5rem; max-width: 24rem }',
    'table { border-collapse: collapse }',
    'th, td { padding: .4rem .8rem; border-bottom: 1px solid #d9dce1; text-align: left }',
    '</style>',
    `<h1>${escapeHtml(title)}</h1>`,
    ...body,
    '</html>\n',
  ].join('\n')
}

function cropOf(image: Image, quad: Quad): Image {
  const { width, height } = sizeOf(quad)
  return warp(image, quad, Math.max(1, Math.round(width)), Math.max(1, Math.round(height)))
}

function lowest(lines: readonly Line[]): number {
  return Math.min(1, ...lines.map(({ confidence }) => confidence))
}

function dataUrl(png: Uint8Array): string {
  return `data:image/png;base64,${Buffer.from(png).toString('base64')}`
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)}%`
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
