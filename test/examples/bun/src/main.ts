import model from './model.onnx?engine=fp32'

const { y } = await model.infer({ x: { data: new Float32Array([1, 2, 3, 4]), dims: [1, 4] } })
const width: 4 = y.dims[1]
console.log(width, JSON.stringify([...y.data]))
await model.dispose()
