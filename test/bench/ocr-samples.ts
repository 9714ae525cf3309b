import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeImage, imageTensor, type Picture } from '../../plugin/samples/image.ts'
import { repository } from '../support/python.ts'
import { npy, uniform } from '../support/samples.ts'
import type { BenchModel } from './models.ts'

/** Which samples to write: of whole pages or of lines of text, how many, and the seed of their random crops. */
export interface Samples {
  readonly kind: 'page' | 'line'
  readonly count: number
  readonly seed: number
}

/** Writes inputs of an OCR model as .npy files: crops of the playground's images, some of them dark, some pale. */
export async function writeSamples(folder: string, model: BenchModel, { kind, count, seed }: Samples): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const pages = await Promise.all(
    names.map(async (name) => decodeImage(readFileSync(join(repository, 'playground', 'images', `${name}.png`)))),
  )
  const pictures = kind === 'page' ? pages : pages.slice(0, levelPages).flatMap(linesOf)
  const random = uniform(count * 4, seed, 0.5).map((value) => value + 0.5)
  const [, , height = 0, width = 0] = model.dims
  for (let index = 0; index < count; index++) {
    const [a, b, c, d] = random.subarray(index * 4) as unknown as [number, number, number, number]
    const picture = pictures[Math.floor(a * pictures.length)]!
    const part = 0.6 + 0.4 * b
    const size = {
      width: Math.floor(picture.width * part),
      height: kind === 'page' ? Math.floor(picture.height * part) : picture.height,
    }
    const cut = crop(
      picture,
      Math.floor(c * (picture.width - size.width)),
      Math.floor(c * (picture.height - size.height)),
      size,
    )
    const image = shade(cut, Math.floor(d * 4))
    const fitted: [number, number] = [
      height,
      kind === 'page' ? width : Math.min(width, Math.ceil((cut.width * height) / cut.height)),
    ]
    const tensor = imageTensor(
      kind === 'line' && d < 0.5 ? turned(image) : image,
      { ...preprocessing[kind], layout: 'nchw', channels: 'bgr', size: fitted },
      'float32',
    )
    writeFileSync(
      join(folder, `${String(index).padStart(3, '0')}.npy`),
      npy(model.dims, padded(tensor.data as Float32Array, fitted, width)),
    )
  }
}

// The first four have level lines of text.
const names = ['straight', 'paragraph', 'receipt', 'sizes', 'skewed', 'rotated-180', 'sideways'] as const
const levelPages = 4

const preprocessing = {
  page: { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  line: { scale: 1 / 255, mean: [0.5], std: [0.5] },
}

function crop({ width, rgb }: Picture, left: number, top: number, size: Pick<Picture, 'width' | 'height'>): Picture {
  const cut = new Uint8Array(size.width * size.height * 3)
  for (let y = 0; y < size.height; y++)
    cut.set(
      rgb.subarray(((top + y) * width + left) * 3, ((top + y) * width + left + size.width) * 3),
      y * size.width * 3,
    )
  return { ...size, rgb: cut }
}

// 1 inverts the picture, 2 makes it pale, anything else leaves it.
function shade(picture: Picture, how: number): Picture {
  if (how !== 1 && how !== 2) return picture
  return {
    ...picture,
    rgb: picture.rgb.map((value) => (how === 1 ? 255 - value : value * 0.6 + 40)),
  }
}

function turned({ width, height, rgb }: Picture): Picture {
  const half = new Uint8Array(rgb.length)
  for (let pixel = 0; pixel < width * height; pixel++)
    half.set(rgb.subarray(pixel * 3, pixel * 3 + 3), (width * height - 1 - pixel) * 3)
  return { width, height, rgb: half }
}

// A row with pixels that differ from the page's first pixel belongs to a line of text.
function linesOf(page: Picture): Picture[] {
  const inked = (y: number) => {
    for (let x = 0; x < page.width; x++)
      if (Math.abs(page.rgb[(y * page.width + x) * 3]! - page.rgb[0]!) > 60) return true
    return false
  }
  const lines: Picture[] = []
  let start = -1
  for (let y = 0; y <= page.height; y++) {
    const ink = y < page.height && inked(y)
    if (ink && start < 0) start = y
    if (ink || start < 0) continue
    if (y - start >= 8) {
      const top = Math.max(0, start - 4)
      lines.push(crop(page, 0, top, { width: page.width, height: Math.min(page.height, y + 4) - top }))
    }
    start = -1
  }
  return lines
}

// Lines narrower than the model's input are padded with zeros, as in training.
function padded(data: Float32Array, [height, from]: [number, number], to: number): Float32Array {
  if (from === to) return data
  const wide = new Float32Array(3 * height * to)
  for (let row = 0; row < 3 * height; row++) wide.set(data.subarray(row * from, (row + 1) * from), row * to)
  return wide
}
