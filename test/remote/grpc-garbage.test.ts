import { createServer as createHttpServer } from 'node:http'
import * as http2 from 'node:http2'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { fromJSON } from '@grpc/proto-loader'
import { connectServer } from 'unplugin-onnx/remote'
import type { Model } from 'unplugin-onnx/runtime'
import { expect, onTestFinished, test } from 'vitest'
import { descriptor } from '../../runtime/remote/descriptor.ts'

type Method = keyof typeof descriptor.nested.inference.nested.GRPCInferenceService.methods

/** What a stream gets: headers, bytes, and trailers if the stream ends as gRPC demands. */
interface Answer {
  readonly headers?: http2.OutgoingHttpHeaders
  readonly body?: Uint8Array
  readonly trailers?: http2.OutgoingHttpHeaders
}

const json = descriptor as unknown as Parameters<typeof fromJSON>[0]
const methods = fromJSON(json)['inference.GRPCInferenceService'] as unknown as Readonly<
  Record<Method, { responseSerialize(message: object): Buffer }>
>
const bindings = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [2] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [2] }],
}
const right: Readonly<Record<string, object>> = {
  ServerLive: { live: true },
  ModelMetadata: { name: 'pose', versions: ['1'], platform: 'test', ...bindings },
  ModelReady: { ready: true },
  ModelInfer: { modelName: 'pose', modelVersion: '1', outputs: bindings.outputs, rawOutputContents: [Buffer.alloc(8)] },
}

function frame(message: Uint8Array, length = message.length, flag = 0): Buffer {
  const head = Buffer.alloc(5, flag)
  head.writeUInt32BE(length, 1)
  return Buffer.concat([head, message])
}

const proper = { headers: { 'content-type': 'application/grpc' }, trailers: { 'grpc-status': '0' } }

function properAnswer(method: Method): Answer {
  return { ...proper, body: frame(methods[method].responseSerialize(right[method] ?? {})) }
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `grpc://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A server of HTTP/2 that answers one method wrongly. */
function serveWrong(wrong: Method, answer: Answer): Promise<string> {
  const server = http2.createServer()
  const sessions = new Set<http2.ServerHttp2Session>()
  server.on('session', (session) => sessions.add(session))
  onTestFinished(() => sessions.forEach((session) => session.destroy()))
  server.on('stream', (stream, { ':path': path = '' }) => {
    const method = path.split('/').at(-1) as Method
    const { headers, body, trailers } = method === wrong ? answer : properAnswer(method)
    stream.on('error', () => {})
    stream.respond({ ':status': 200, ...headers }, { waitForTrailers: true })
    stream.on('wantTrailers', () => (trailers ? stream.sendTrailers(trailers) : stream.close()))
    stream.end(body)
  })
  return listen(server)
}

async function call(url: string): Promise<unknown> {
  const options = { url, model: 'pose', retries: 0, timeouts: { connect: 2000, infer: 2000 } }
  const model = await connectServer<Model>(options)
  onTestFinished(() => model.dispose())
  return model.infer({ x: Float32Array.of(1, 2) })
}

const page = Buffer.from('<!doctype html><title>nginx</title>')
const inferences: readonly (readonly [string, Answer, string])[] = [
  ['a page of a proxy', { headers: { 'content-type': 'text/html' }, body: page }, 'INFERENCE_FAILED'],
  ['status 502', { headers: { ':status': 502 }, body: page }, 'SERVER_UNAVAILABLE'],
  ['bytes that are no message', { ...proper, body: frame(Buffer.alloc(64, 0xff)) }, 'INFERENCE_FAILED'],
  [
    'a message that ends early',
    { ...proper, body: frame(properAnswer('ModelInfer').body!.subarray(5, -3)) },
    'INFERENCE_FAILED',
  ],
  ['a frame that ends early', { ...proper, body: frame(Buffer.alloc(4), 1000) }, 'INFERENCE_FAILED'],
  ['a frame above the limit', { ...proper, body: frame(Buffer.alloc(4), 2 ** 32 - 1) }, 'INFERENCE_FAILED'],
  ['an unknown compression', { ...proper, body: frame(Buffer.alloc(4), 4, 1) }, 'INFERENCE_FAILED'],
  ['no message', { ...proper, body: Buffer.alloc(0) }, 'INFERENCE_FAILED'],
  ['no status', { headers: proper.headers, body: properAnswer('ModelInfer').body! }, 'INFERENCE_FAILED'],
  ['an unknown status', { ...proper, trailers: { 'grpc-status': '99', 'grpc-message': 'odd' } }, 'INFERENCE_FAILED'],
]

test('a server of this test answers', async () => {
  const url = await serveWrong('ModelInfer', properAnswer('ModelInfer'))
  expect(await call(url)).toMatchObject({ y: { data: Float32Array.of(0, 0) } })
})

test.each(inferences)('an inference that is answered by %s is an error', async (_, answer, code) => {
  await expect(call(await serveWrong('ModelInfer', answer))).rejects.toMatchObject({ name: 'OnnxEngineError', code })
})

test.each(['ServerLive', 'ModelMetadata', 'ModelReady'] as const)(
  '%s that is no message is an error',
  async (method) => {
    const url = await serveWrong(method, { ...proper, body: frame(Buffer.alloc(64, 0xff)) })
    await expect(call(url)).rejects.toMatchObject({
      name: 'OnnxEngineError',
      code: /^SERVER_(?:MISMATCH|UNAVAILABLE)$/,
    })
  },
)

const strangers: readonly (readonly [string, () => Server])[] = [
  ['a server of HTTP/1.1', () => createHttpServer((_, response) => void response.end('hello'))],
  [
    'a server that sends noise',
    () => createServer((socket) => void socket.on('error', () => {}).end(Buffer.alloc(999, 0x5a))),
  ],
  ['a server that says nothing', () => createServer((socket) => void socket.on('error', () => {}).resume())],
]
test.each(strangers)('%s is no server', async (_, create) => {
  const server = create()
  server.on('connection', (socket) => onTestFinished(() => void socket.destroy()))
  await expect(call(await listen(server))).rejects.toMatchObject({ code: 'SERVER_UNAVAILABLE' })
})
