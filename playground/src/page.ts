/// <reference lib="dom" />
import { classifier } from './classify.ts'
import { detector } from './detect.ts'
import type { Image } from './image.ts'
import { outline } from './outline.ts'
import { read } from './read.ts'
import { recogniser } from './recognise.ts'

// The app as a page: an image that is dropped or picked is read by the same models, in this browser.
const models = { detector, classifier, recogniser }
const status = document.querySelector('#status')!
const lines = document.querySelector('#lines')!
const canvas = document.querySelector('canvas')!

addEventListener('dragover', (event) => event.preventDefault())
addEventListener('drop', (event) => {
  event.preventDefault()
  void show(event.dataTransfer?.files[0])
})
document.querySelector('input')!.addEventListener('change', (event) => {
  void show((event.target as HTMLInputElement).files?.[0])
})
void load()

/** Fetches the models before the first image comes. */
async function load(): Promise<void> {
  for (const [name, model] of Object.entries(models)) {
    await model.load({
      onProgress: ({ received, expected }) => {
        status.textContent = `${name}: ${Math.round((100 * received) / expected)} %`
      },
    })
  }
  const { backend, engine } = detector.variant ?? {}
  status.textContent = `Ready, on ${backend} in ${engine}`
}

async function show(file: File | undefined): Promise<void> {
  if (file === undefined) return
  status.textContent = `Reading ${file.name}`
  lines.replaceChildren()
  const image = await pixelsOf(file)
  const result = await read(file.name, image)
  for (const { quad } of result.lines) outline(canvas, quad)
  for (const { text } of result.lines) lines.append(Object.assign(document.createElement('li'), { textContent: text }))
  const total = Object.values(result.milliseconds).reduce((sum, milliseconds) => sum + milliseconds, 0)
  status.textContent = `${file.name}: ${result.lines.length} lines in ${total.toFixed(0)} ms`
}

/** The pixels of any image that the browser can read. It stays on the canvas. */
async function pixelsOf(file: File): Promise<Image> {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: 'none' })
  const { width, height } = Object.assign(canvas, { width: bitmap.width, height: bitmap.height })
  const context = canvas.getContext('2d', { willReadFrequently: true })!
  context.drawImage(bitmap, 0, 0)
  const { data } = context.getImageData(0, 0, width, height)
  return { width, height, data: Uint8Array.from({ length: width * height * 3 }, (_, i) => data[pixelAt(i)]!) }
}

// Without the fourth byte of each pixel, its opacity.
function pixelAt(index: number): number {
  return Math.floor(index / 3) * 4 + (index % 3)
}
