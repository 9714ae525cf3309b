import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import type { AddressInfo } from 'node:net'
import * as grpc from '@grpc/grpc-js'
import * as loader from '@grpc/proto-loader'
import { descriptor } from '../../runtime/remote/descriptor.ts'

/** A tensor as the fake server keeps it: raw bytes of the protocol. */
export interface FakeTensor {
  readonly name: string
  readonly datatype: string
  readonly shape: readonly number[]
  readonly bytes: Buffer
}

export interface FakeCall {
  readonly inputs: readonly FakeTensor[]
  readonly headers: Readonly<Record<string, unknown>>
  /** Resolves when the client gives up. */
  readonly cancelled: Promise<void>
}

/** A model on a fake server. Without `infer`, output `y...` is input `x...`. */
export interface FakeModel {
  readonly name: string
  readonly versions?: readonly string[]
  readonly inputs: readonly Omit<FakeTensor, 'bytes'>[]
  readonly outputs: readonly Omit<FakeTensor, 'bytes'>[]
  /** The version that answers name, instead of the one that was asked for. */
  readonly ran?: string
  readonly live?: boolean
  readonly ready?: boolean
  /** Outputs as lists of values (JSON, or typed fields of gRPC) instead of raw bytes. */
  readonly typed?: boolean
  /** HTTP without the binary extension, as MLServer: 500 for bytes that are not text. */
  readonly jsonOnly?: boolean
  /** HTTP: whether the binary extension is in the metadata of the server. Default: unless `jsonOnly`. */
  readonly listsBinary?: boolean
  /** HTTP: the whole body of an answer, in place of the protocol's. */
  readonly raw?: (path: string) => { readonly status?: number; readonly body: string | Buffer } | undefined
  readonly infer?: (call: FakeCall) => Promise<readonly FakeTensor[]>
}

/** Thrown by `infer` of a fake model. */
export class Refusal extends Error {
  readonly status: number
  readonly code: grpc.status
  constructor(status: number, code: grpc.status, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

export interface FakeServer {
  readonly url: string
  readonly port: number
  /** The inferences that have arrived. */
  readonly calls: readonly FakeCall[]
  /** Ends all connections at once, as a kill does. */
  kill(): Promise<void>
}

export interface FakeOptions {
  readonly port?: number
  readonly tls?: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer; readonly client: boolean }
}

export type Scheme = 'grpc' | 'http'

export function startServer(scheme: Scheme, model: FakeModel, options: FakeOptions = {}): Promise<FakeServer> {
  return scheme === 'grpc' ? startGrpc(model, options) : startHttp(model, options)
}

const echo = async ({ inputs }: FakeCall): Promise<readonly FakeTensor[]> =>
  inputs.map((tensor) => ({ ...tensor, name: tensor.name.replace(/^x/, 'y') }))

async function startHttp(model: FakeModel, { port = 0, tls }: FakeOptions): Promise<FakeServer> {
  const calls: FakeCall[] = []
  const handler: http.RequestListener = (request, response) => {
    void answerHttp(model, calls, request, response).catch((error: unknown) => {
      const status = error instanceof Refusal ? error.status : 500
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ error: String((error as Error).message) }))
    })
  }
  const server = tls
    ? https.createServer({ ...tls, requestCert: tls.client, rejectUnauthorized: tls.client }, handler)
    : http.createServer(handler)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const bound = (server.address() as AddressInfo).port
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${bound}`,
    port: bound,
    calls,
    async kill() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

async function answerHttp(
  model: FakeModel,
  calls: FakeCall[],
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const path = request.url ?? ''
  const raw = model.raw?.(path)
  if (raw) return void response.writeHead(raw.status ?? 200).end(raw.body)
  const json = (value: unknown) =>
    void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  if (path === '/v2')
    return json({ name: 'fake', extensions: (model.listsBinary ?? !model.jsonOnly) ? ['binary_tensor_data'] : [] })
  if (path === '/v2/health/live') return void response.writeHead(model.live === false ? 400 : 200).end()
  const [, name, , version, verb] =
    /^\/v2\/models\/([^/]+)(\/versions\/([^/]+))?(?:\/(\w+))?$/
      .exec(path)
      ?.map((part) => part && decodeURIComponent(part)) ?? []
  if (name !== model.name) throw new Refusal(404, grpc.status.NOT_FOUND, `Model with name ${name} does not exist.`)
  if (version && model.versions && !model.versions.includes(version))
    throw new Refusal(404, grpc.status.NOT_FOUND, `no version ${version}`)
  if (verb === 'ready') return void response.writeHead(model.ready === false ? 503 : 200).end('{}')
  if (verb !== 'infer')
    return json({ name, versions: model.versions ?? null, platform: '', inputs: model.inputs, outputs: model.outputs })
  const cancelled = new Promise<void>((resolve) => response.on('close', resolve))
  const body = Buffer.concat(chunks)
  const headerBytes = request.headers['inference-header-content-length']
  if (headerBytes !== undefined && model.jsonOnly) {
    const status = model.listsBinary ? 422 : 500
    response.writeHead(status, { 'content-type': 'application/json' })
    return void response.end('{"detail":[{"type":"value_error","msg":"Value error, str is not valid UTF-8"}]}')
  }
  const call = { inputs: readHttpInputs(body, headerBytes), headers: request.headers, cancelled }
  calls.push(call)
  const outputs = await (model.infer ?? echo)(call)
  const head = {
    model_name: name,
    model_version: model.ran ?? version ?? '',
    outputs: outputs.map((tensor) => httpOutput(tensor, model.typed ?? model.jsonOnly)),
  }
  if (model.typed ?? model.jsonOnly) return json(head)
  const header = Buffer.from(JSON.stringify(head))
  response.writeHead(200, { 'inference-header-content-length': String(header.length) })
  response.end(Buffer.concat([header, ...outputs.map(({ bytes }) => bytes)]))
}

function httpOutput({ bytes, ...tensor }: FakeTensor, typed?: boolean): object {
  if (!typed) return { ...tensor, parameters: { binary_data_size: bytes.length } }
  return {
    ...tensor,
    data: valuesOf(tensor.datatype, bytes).map((value) => (typeof value === 'bigint' ? Number(value) : value)),
  }
}

function readHttpInputs(body: Buffer, headerBytes: string | string[] | undefined): readonly FakeTensor[] {
  const size = headerBytes === undefined ? body.length : Number(headerBytes)
  // Digits of large integers would be lost in JSON.parse.
  const text = body
    .subarray(0, size)
    .toString('utf8')
    .replace(/(?<=[[,])(-?\d{16,})(?=[\],])/g, '"$1"')
  const { inputs } = JSON.parse(text) as {
    inputs: (Omit<FakeTensor, 'bytes'> & { parameters?: { binary_data_size: number }; data: never[] })[]
  }
  let offset = size
  return inputs.map(({ name, datatype, shape, parameters, data }) => {
    if (!parameters) return { name, datatype, shape, bytes: bytesOf(datatype, data) }
    const bytes = body.subarray(offset, (offset += parameters.binary_data_size))
    return { name, datatype, shape, bytes }
  })
}

type Answer = (call: grpc.ServerUnaryCall<never, unknown>) => Promise<object>

function unary(answer: Answer): grpc.handleUnaryCall<never, unknown> {
  return (call, callback) => {
    answer(call).then(
      (message) => callback(null, message),
      (error: unknown) =>
        callback({
          code: error instanceof Refusal ? error.code : grpc.status.INTERNAL,
          details: (error as Error).message,
        }),
    )
  }
}

async function startGrpc(model: FakeModel, { port = 0, tls }: FakeOptions): Promise<FakeServer> {
  const calls: FakeCall[] = []
  const definitions = loader.fromJSON(descriptor as never, { longs: String, arrays: true, defaults: true })
  const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 })
  const known = ({ name, version }: { name: string; version: string }) => {
    if (name !== model.name) throw new Refusal(404, grpc.status.NOT_FOUND, `Model with name ${name} does not exist.`)
    if (version && model.versions && !model.versions.includes(version))
      throw new Refusal(404, grpc.status.NOT_FOUND, `no version ${version}`)
  }
  server.addService(
    definitions['inference.GRPCInferenceService'] as never,
    {
      ServerLive: unary(async () => ({ live: model.live ?? true })),
      ModelReady: unary(async ({ request }) => {
        known(request)
        return { ready: model.ready ?? true }
      }),
      ModelMetadata: unary(async ({ request }) => {
        known(request)
        return { name: model.name, versions: model.versions ?? [], inputs: model.inputs, outputs: model.outputs }
      }),
      ModelInfer: unary(async (call) => {
        const request = call.request as {
          inputs: Omit<FakeTensor, 'bytes'>[]
          rawInputContents: Buffer[]
          modelVersion: string
        }
        const inputs = request.inputs.map((tensor, index) => ({
          ...tensor,
          shape: tensor.shape.map(Number),
          bytes: Buffer.from(request.rawInputContents[index] ?? []),
        }))
        const cancelled = new Promise<void>((resolve) => call.on('cancelled', resolve))
        const seen = { inputs, headers: call.metadata.getMap(), cancelled }
        calls.push(seen)
        const outputs = await (model.infer ?? echo)(seen)
        return {
          modelName: model.name,
          modelVersion: model.ran ?? request.modelVersion,
          outputs: outputs.map((tensor) => grpcOutput(tensor, model.typed)),
          rawOutputContents: model.typed ? [] : outputs.map(({ bytes }) => bytes),
        }
      }),
    } as never,
  )
  const credentials = tls
    ? grpc.ServerCredentials.createSsl(tls.ca, [{ private_key: tls.key, cert_chain: tls.cert }], tls.client)
    : grpc.ServerCredentials.createInsecure()
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, found) => (error ? reject(error) : resolve(found)))
  })
  return {
    url: `${tls ? 'grpcs' : 'grpc'}://127.0.0.1:${bound}`,
    port: bound,
    calls,
    async kill() {
      server.forceShutdown()
    },
  }
}

function grpcOutput({ bytes, ...tensor }: FakeTensor, typed?: boolean): object {
  if (!typed) return tensor
  const values = valuesOf(tensor.datatype, bytes).map((value) => {
    if (typeof value === 'bigint') return String(value)
    return typeof value === 'string' ? Buffer.from(value) : value
  })
  return { ...tensor, contents: { [contentsOf(tensor.datatype)]: values } }
}

const elements: Readonly<Record<string, { readonly size: number; readonly array: string; readonly contents: string }>> =
  {
    BOOL: { size: 1, array: 'Uint8Array', contents: 'boolContents' },
    UINT8: { size: 1, array: 'Uint8Array', contents: 'uintContents' },
    UINT16: { size: 2, array: 'Uint16Array', contents: 'uintContents' },
    UINT32: { size: 4, array: 'Uint32Array', contents: 'uintContents' },
    UINT64: { size: 8, array: 'BigUint64Array', contents: 'uint64Contents' },
    INT8: { size: 1, array: 'Int8Array', contents: 'intContents' },
    INT16: { size: 2, array: 'Int16Array', contents: 'intContents' },
    INT32: { size: 4, array: 'Int32Array', contents: 'intContents' },
    INT64: { size: 8, array: 'BigInt64Array', contents: 'int64Contents' },
    FP32: { size: 4, array: 'Float32Array', contents: 'fp32Contents' },
    FP64: { size: 8, array: 'Float64Array', contents: 'fp64Contents' },
    BYTES: { size: 0, array: 'Array', contents: 'bytesContents' },
  }

function contentsOf(datatype: string): string {
  return elements[datatype]?.contents ?? ''
}

function valuesOf(datatype: string, bytes: Buffer): readonly unknown[] {
  if (datatype === 'BYTES') {
    const texts: string[] = []
    for (let offset = 0; offset < bytes.length;) {
      const end = offset + 4 + bytes.readUInt32LE(offset)
      texts.push(bytes.toString('utf8', offset + 4, end))
      offset = end
    }
    return texts
  }
  const own = new Uint8Array(bytes)
  const values = Array.from(new (typedArray(datatype))(own.buffer))
  return datatype === 'BOOL' ? values.map(Boolean) : values
}

function bytesOf(datatype: string, data: readonly never[]): Buffer {
  if (datatype === 'BYTES') {
    return Buffer.concat(
      data.flatMap((text: string) => {
        const length = Buffer.alloc(4)
        length.writeUInt32LE(Buffer.byteLength(text))
        return [length, Buffer.from(text)]
      }),
    )
  }
  const array = typedArray(datatype)
  const values = array.name.startsWith('Big') ? data.map((value) => BigInt(value)) : data
  return Buffer.from(array.from(values as never).buffer)
}

function typedArray(datatype: string): {
  new (buffer: ArrayBuffer): ArrayLike<unknown>
  from(values: never): { buffer: ArrayBuffer }
  readonly name: string
} {
  return Reflect.get(globalThis, elements[datatype]?.array ?? '') as never
}
