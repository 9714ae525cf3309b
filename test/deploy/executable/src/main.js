import model from './model.onnx?engine=fp32'

main()

async function main() {
  const { y } = await model.infer({ x: Float32Array.from(process.argv.slice(2), Number) })
  console.log(JSON.stringify([...y.data]))
  await model.dispose()
}
