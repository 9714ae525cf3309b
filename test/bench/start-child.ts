// One result from a fresh process: `start-child.js ours manifest.json 1x3x48x320`, or `start-child.js peer model.onnx`
// and the same dims.
const [, , who, file = '', dimsText = ''] = process.argv
const dims = dimsText.split('x').map(Number)
const data = new Float32Array(dims.reduce((product, dim) => product * dim, 1)).fill(0.5)

if (who === 'ours') {
  const { loadModel } = await import('unplugin-onnx/runtime')
  const model = await loadModel(file)
  await model.infer({ x: { data, dims } })
} else {
  const { default: ort } = await import('onnxruntime-node')
  const session = await ort.InferenceSession.create(file)
  await session.run({ x: new ort.Tensor('float32', data, dims) })
}
