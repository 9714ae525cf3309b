import model from './models/model.onnx?engine=fp32'

export async function infer(data: Float32Array): Promise<number[]> {
  const { y } = await model.infer({ x: { data, dims: [1, 4] } })
  return [...y.data]
}
