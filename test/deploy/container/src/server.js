import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import model from './model.onnx?engine=fp32'

// A container that cannot run the model fails when it starts, not at its first request.
await model.load()

const server = createServer(async (request, response) => {
  try {
    const { y } = await model.infer({ x: Float32Array.from(await json(request)) })
    response.end(JSON.stringify([...y.data]))
  } catch (error) {
    response.writeHead(400).end(error.message)
  }
})
server.listen(process.env.PORT, () => console.log(`${model.variant.backend} on ${process.env.PORT}`))
process.once('SIGTERM', () => server.close(() => model.dispose()))
