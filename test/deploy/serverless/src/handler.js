import model from './model.onnx?engine=fp32'

// Once for each instance: the calls that it serves find the model open.
await model.load()

export async function handler({ body }) {
  const { y } = await model.infer({ x: Float32Array.from(JSON.parse(body)) })
  return { statusCode: 200, body: JSON.stringify([...y.data]) }
}
