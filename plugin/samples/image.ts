import type { DType } from '../../runtime/dtype.ts'
import type { Preprocess } from './source.ts'

/** An image as rows of interleaved 8-bit RGB. */
export interface Picture {
  readonly width: number
  readonly height: number
  readonly rgb: Uint8Array
}

/** Decodes a PNG or JPEG by its first bytes. Throws what the decoder throws, or an Error for another format. */
export async function decodeImage(bytes: Uint8Array): Promise<Picture> {
  if (bytes[0] === 0x89 && bytes[1] === 0x50) return decodePng(bytes)
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return decodeJpeg(bytes)
  throw new Error('it is neither a PNG nor a JPEG image')
}

/**
 * An image as the tensor of an input, in the order that `preprocess` declares: resize, order of the channels, then
 * (pixel * scale - mean) / std for each channel, where a pixel is from 0 to 255.
 *
 * @returns float32 or, for a uint8 input, rounded and clamped; dims are [1,C,H,W] or [1,H,W,C]
 */
export function imageTensor(
  picture: Picture,
  preprocess: Preprocess,
  dtype: DType,
): { data: Float32Array | Uint8Array; dims: number[] } {
  const { layout, scale, channels, mean, std, size } = preprocess
  const [height, width] = size ?? [picture.height, picture.width]
  const pixels = resize(picture, width, height)
  const order = channelOrders[channels]
  const count = order.length
  const data =
    dtype === 'uint8' ? new Uint8ClampedArray(count * width * height) : new Float32Array(count * width * height)
  const [step, plane] = layout === 'nchw' ? [1, width * height] : [count, 1]
  order.forEach((weights, channel) => {
    const [offset, divisor] = [mean[channel] ?? mean[0] ?? 0, std[channel] ?? std[0] ?? 1]
    for (let pixel = 0; pixel < width * height; pixel++) {
      const at = pixel * 3
      const value = weights[0] * pixels[at]! + weights[1] * pixels[at + 1]! + weights[2] * pixels[at + 2]!
      data[pixel * step + channel * plane] = (value * scale - offset) / divisor
    }
  })
  const dims = layout === 'nchw' ? [1, count, height, width] : [1, height, width, count]
  return { data: data instanceof Uint8ClampedArray ? new Uint8Array(data.buffer) : data, dims }
}

// Weights of red, green and blue in each channel; gray by ITU-R BT.601, as image libraries have it.
export const channelOrders = {
  rgb: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  bgr: [
    [0, 0, 1],
    [0, 1, 0],
    [1, 0, 0],
  ],
  gray: [[0.299, 0.587, 0.114]],
} as const

async function decodePng(bytes: Uint8Array): Promise<Picture> {
  const { decode, convertIndexedToRgb } = await import('fast-png')
  const image = decode(bytes)
  const { width, height } = image
  const channels = image.palette ? (image.palette[0]?.length ?? 3) : image.channels
  const data = image.palette ? convertIndexedToRgb(image) : image.data
  const shift = image.palette || image.depth === 8 ? 1 : 255 / (2 ** image.depth - 1)
  const rgb = new Uint8Array(width * height * 3)
  // One or two channels are gray, a second or fourth is the opacity.
  const color = channels >= 3 ? 1 : 0
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++)
      rgb[pixel * 3 + channel] = Math.round(data[pixel * channels + channel * color]! * shift)
  }
  return { width, height, rgb }
}

async function decodeJpeg(bytes: Uint8Array): Promise<Picture> {
  const { decode } = (await import('jpeg-js')).default
  const { width, height, data } = decode(bytes, { useTArray: true, formatAsRGBA: false, tolerantDecoding: false })
  return { width, height, rgb: data }
}

// Bilinear with pixel centers at halves, as OpenCV and Pillow's successors in training code do it.
function resize({ width, height, rgb }: Picture, toWidth: number, toHeight: number): Uint8Array | Float32Array {
  if (width === toWidth && height === toHeight) return rgb
  const result = new Float32Array(toWidth * toHeight * 3)
  const columns = Array.from({ length: toWidth }, (_, x) => between(x, width / toWidth, width))
  for (let y = 0; y < toHeight; y++) {
    const row = between(y, height / toHeight, height)
    for (let x = 0; x < toWidth; x++) {
      const column = columns[x]!
      for (let channel = 0; channel < 3; channel++) {
        const at = (line: number, place: number) => rgb[(line * width + place) * 3 + channel]!
        const upper = at(row.low, column.low) * (1 - column.part) + at(row.low, column.high) * column.part
        const lower = at(row.high, column.low) * (1 - column.part) + at(row.high, column.high) * column.part
        result[(y * toWidth + x) * 3 + channel] = upper * (1 - row.part) + lower * row.part
      }
    }
  }
  return result
}

function between(index: number, ratio: number, length: number): { low: number; high: number; part: number } {
  const place = Math.min(length - 1, Math.max(0, (index + 0.5) * ratio - 0.5))
  const low = Math.floor(place)
  return { low, high: Math.min(length - 1, low + 1), part: place - low }
}
