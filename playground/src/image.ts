import { convertIndexedToRgb, decode, encode } from 'fast-png'
import type { Point, Quad } from './quad.ts'

/** 8-bit RGB pixels, row by row from the top. */
export interface Image {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

/**
 * How a model normalises pixels (0-255): `(value / 255 - mean) / deviation`, with the channels in the order that the
 * model reads.
 */
export interface Normalisation {
  readonly mean: readonly [number, number, number]
  readonly deviation: readonly [number, number, number]
}

/** Reads a PNG of 8 bits a channel: grey, colour or palette. Transparency is dropped. */
export function decodePng(bytes: Uint8Array): Image {
  const png = decode(bytes)
  if (!png.palette && png.depth !== 8) throw new Error(`PNG: expected 8 bits a channel, received ${png.depth}`)
  const channels = png.palette ? (png.palette[0]?.length ?? 3) : png.channels
  const pixels = png.palette ? convertIndexedToRgb(png) : png.data
  const data = new Uint8Array(png.width * png.height * 3)
  for (let i = 0; i < png.width * png.height; i++) {
    for (let c = 0; c < 3; c++) data[i * 3 + c] = pixels[i * channels + (channels < 3 ? 0 : c)] ?? 0
  }
  return { width: png.width, height: png.height, data }
}

export function encodePng({ width, height, data }: Image): Uint8Array {
  return encode({ width, height, data, channels: 3, depth: 8 })
}

/** The whole image as a quad: `warp(image, frame(image), w, h)` resizes it. */
export function frame({ width, height }: Image): Quad {
  return [
    [0, 0],
    [width, 0],
    [width, height],
    [0, height],
  ]
}

/**
 * Cuts a parallelogram out of an image and lays it flat as width x height pixels, with bilinear sampling. Crops,
 * resizes, rotates and mirrors in one step: the quad's first corner becomes the top left, its second the top right.
 */
export function warp(image: Image, [origin, right, , down]: Quad, width: number, height: number): Image {
  const data = new Uint8Array(width * height * 3)
  for (let j = 0; j < height; j++) {
    for (let i = 0; i < width; i++) {
      const u = (i + 0.5) / width
      const v = (j + 0.5) / height
      const x = origin[0] + u * (right[0] - origin[0]) + v * (down[0] - origin[0])
      const y = origin[1] + u * (right[1] - origin[1]) + v * (down[1] - origin[1])
      sample(image, [x - 0.5, y - 0.5], data, (j * width + i) * 3)
    }
  }
  return { width, height, data }
}

/**
 * A batch of images of one height as planes, `float32[n, 3, height, width]`. Narrower images are padded on the right
 * with zeros, as in training. The channels are blue, green, red: PaddleOCR trains on images as OpenCV reads them.
 */
export function toTensor<H extends number>(
  images: readonly Image[],
  height: H,
  width: number,
  { mean, deviation }: Normalisation,
) {
  const plane = height * width
  const data = new Float32Array(images.length * 3 * plane)
  for (const [n, image] of images.entries()) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < image.width; x++) {
        for (let c = 0; c < 3; c++) {
          const value = image.data[(y * image.width + x) * 3 + 2 - c]!
          data[(n * 3 + c) * plane + y * width + x] = (value / 255 - mean[c]!) / deviation[c]!
        }
      }
    }
  }
  const dims: readonly [number, 3, H, number] = [images.length, 3, height, width]
  return { data, dims }
}

/** Writes the pixel between the four around a point, weighted by distance, to `target` from the index `at`. */
function sample({ width, height, data }: Image, [x, y]: Point, target: Uint8Array, at: number): void {
  const left = clamp(Math.floor(x), width - 1)
  const top = clamp(Math.floor(y), height - 1)
  const right = Math.min(left + 1, width - 1)
  const bottom = Math.min(top + 1, height - 1)
  const fx = Math.min(Math.max(x - left, 0), 1)
  const fy = Math.min(Math.max(y - top, 0), 1)
  for (let c = 0; c < 3; c++) {
    const above = data[(top * width + left) * 3 + c]! * (1 - fx) + data[(top * width + right) * 3 + c]! * fx
    const below = data[(bottom * width + left) * 3 + c]! * (1 - fx) + data[(bottom * width + right) * 3 + c]! * fx
    target[at + c] = Math.round(above * (1 - fy) + below * fy)
  }
}

function clamp(value: number, max: number): number {
  return Math.min(Math.max(value, 0), max)
}
