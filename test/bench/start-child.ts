// One inference in a fresh process: `start-child.js ours manifest.json` or `start-child.js peer model.onnx`.
const [, , who, file = ''] = process.argv
const dims = [1, 3, 48, 320]
const data = new Float32Array(3 * 48 * 320).fill(0.5)

if (who === 'ours') {
  const { loadModel } = await import('unplugin-onnx/runtime')
  const model = await loadModel(file)
  await model.infer({ x: { data, dims } })
} else {
  const { default: ort } = await import('onnxruntime-node')
  const session = await ort.InferenceSession.create(file)
  await session.run({ x: new ort.Tensor('float32', data, dims) })
}
