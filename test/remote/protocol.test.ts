import { connectServer, type ServerOptions } from 'unplugin-onnx/remote'
import { dtypes, tensor, type Bindings, type DType, type Model } from 'unplugin-onnx/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { datatypes } from '../../runtime/remote/datatypes.ts'
import {
  Refusal,
  startServer,
  type FakeModel,
  type FakeOptions,
  type FakeServer,
  type Scheme,
} from '../support/inference-server.ts'

const schemes: readonly Scheme[] = ['grpc', 'http']

const image = { name: 'x', datatype: 'FP32', shape: [-1, 2] }
const scores = { name: 'y', datatype: 'FP32', shape: [-1, 2] }
const pose: FakeModel = { name: 'pose', inputs: [image], outputs: [scores] }
const bindings: Bindings = {
  inputs: [{ name: 'x', dtype: 'float32', dims: ['batch', 2] }],
  outputs: [{ name: 'y', dtype: 'float32', dims: ['batch', 2] }],
}
const x = { data: Float32Array.of(1, 2, 3, 4), dims: [2, 2] }

async function serve(scheme: Scheme, model: FakeModel = pose, options?: FakeOptions): Promise<FakeServer> {
  const server = await startServer(scheme, model, options)
  onTestFinished(() => server.kill())
  return server
}

async function connect(url: ServerOptions['url'], options: Partial<ServerOptions> = {}) {
  const model = await connectServer<Model>({ url, model: 'pose', ...options })
  onTestFinished(() => model.dispose())
  return model
}

/** Resolves when the server has received this many inferences. */
async function received(server: FakeServer, count: number): Promise<void> {
  await expect.poll(() => server.calls.length).toBe(count)
}

/** What a model does that always fails. */
function refuse(status: number, code: number, text: string): () => Promise<never> {
  return () => Promise.reject(new Refusal(status, code, text))
}

const hangs: FakeModel = { ...pose, infer: () => new Promise(() => {}) }

describe('every dtype of the protocol', () => {
  const samples: { readonly [D in DType]: ArrayBufferView | readonly string[] } = {
    bool: Uint8Array.of(0, 1, 1),
    uint8: Uint8Array.of(0, 1, 255),
    int8: Int8Array.of(-128, 0, 127),
    uint16: Uint16Array.of(0, 1, 65_535),
    int16: Int16Array.of(-32_768, 0, 32_767),
    uint32: Uint32Array.of(0, 1, 2 ** 32 - 1),
    int32: Int32Array.of(-(2 ** 31), 0, 2 ** 31 - 1),
    uint64: BigUint64Array.of(0n, 1n, 2n ** 53n - 1n),
    int64: BigInt64Array.of(-(2n ** 53n) + 1n, 0n, 7n),
    float16: Uint16Array.of(0x3c00, 0x7e00, 0x0001),
    bfloat16: Uint16Array.of(0x3f80, 0x7fc0, 0x0001),
    float32: Float32Array.of(0.1, -3.4e38, 1e-45),
    float64: Float64Array.of(0.1, -1.7e308, 5e-324),
    string: ['', 'tüst\n', '𝒳'],
  }
  const forms: readonly (readonly [string, Scheme, Partial<FakeModel>])[] = [
    ['raw bytes over gRPC', 'grpc', {}],
    ['typed fields over gRPC', 'grpc', { typed: true }],
    ['raw bytes over HTTP', 'http', {}],
    ['an answer in JSON over HTTP', 'http', { typed: true }],
    ['JSON over HTTP', 'http', { jsonOnly: true }],
    ['JSON over HTTP after raw bytes were refused', 'http', { jsonOnly: true, listsBinary: true }],
  ]
  const cases = forms.flatMap(([form, scheme, model]) =>
    (Object.keys(samples) as DType[])
      .filter((dtype) => datatypes[dtype].contents !== undefined || (!model.typed && !model.jsonOnly))
      .map((dtype) => ({ dtype, form, scheme, model })),
  )
  test.each(cases)('$dtype comes back unchanged as $form', async ({ dtype, scheme, model: form }) => {
    const { name } = datatypes[dtype]
    const tensors = {
      inputs: [{ name: 'x', datatype: name, shape: [3] }],
      outputs: [{ name: 'y', datatype: name, shape: [-1] }],
    }
    const server = await serve(scheme, { ...pose, ...tensors, ...form })
    const model = await connect(server.url)
    const { y } = await model.infer({ x: samples[dtype] as never })
    expect(y).toEqual({ dtype, dims: [3], data: samples[dtype] })
    expect(Object.prototype.toString.call(y?.data)).toBe(`[object ${dtypes[dtype].array}]`)
  })

  test.each(schemes)('int64 beyond 2 ** 53 keeps its digits as raw bytes over %s', async (scheme) => {
    const long = { datatype: 'INT64', shape: [2] }
    const server = await serve(scheme, { ...pose, inputs: [{ name: 'x', ...long }], outputs: [{ name: 'y', ...long }] })
    const data = BigInt64Array.of(2n ** 53n + 1n, -(2n ** 63n))
    expect((await (await connect(server.url)).infer({ x: data }))['y']?.data).toEqual(data)
  })

  test('int64 beyond 2 ** 53 is refused in an answer in JSON, which has rounded it', async () => {
    const long = { datatype: 'INT64', shape: [1] }
    const server = await serve('http', {
      ...pose,
      inputs: [{ name: 'x', ...long }],
      outputs: [{ name: 'y', ...long }],
      jsonOnly: true,
    })
    const model = await connect(server.url)
    const call = model.infer({ x: BigInt64Array.of(2n ** 53n + 1n) })
    await expect(call).rejects.toThrow(/output "y".*9007199254740992 for int64, at index 0/)
    expect(server.calls[0]?.inputs[0]?.bytes.readBigInt64LE()).toBe(2n ** 53n + 1n)
  })

  test.each(['float16', 'bfloat16'] as const)('%s is refused by name when a server takes JSON only', async (dtype) => {
    const half = { datatype: datatypes[dtype].name, shape: [1] }
    const server = await serve('http', { ...pose, inputs: [{ name: 'x', ...half }], outputs: [], jsonOnly: true })
    const model = await connect(server.url)
    await expect(model.infer({ x: Uint16Array.of(1) })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      received: `${dtype}, which JSON cannot carry`,
      hint: expect.stringContaining('grpc:'),
    })
    expect(server.calls).toEqual([])
  })

  test('NaN crosses as raw bytes, and is refused where a server takes JSON only', async () => {
    const data = Float32Array.of(Number.NaN, -0)
    const raw = await connect((await serve('http')).url)
    expect((await raw.infer({ x: { data, dims: [1, 2] } }))['y']?.data).toEqual(data)
    const json = await connect((await serve('http', { ...pose, jsonOnly: true })).url)
    await expect(json.infer({ x: { data, dims: [1, 2] } })).rejects.toThrow(
      /input "x": expected finite numbers.*NaN at index 0/,
    )
  })

  test.each(schemes)('a string with a lone surrogate is refused over %s', async (scheme) => {
    const text = { datatype: 'BYTES', shape: [1] }
    const server = await serve(scheme, { ...pose, inputs: [{ name: 'x', ...text }], outputs: [{ name: 'y', ...text }] })
    const call = (await connect(server.url)).infer({ x: ['\ud800'] })
    await expect(call).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  })
})

describe.each(schemes)('connecting over %s', (scheme) => {
  const different: readonly (readonly [string, Partial<FakeModel>, RegExp])[] = [
    ['a missing input', { inputs: [] }, /the server has no input "x", only none/],
    [
      'an input more',
      { inputs: [image, { ...image, name: 'mask' }] },
      /the server wants an input "mask", which the model/,
    ],
    ['another datatype', { inputs: [{ ...image, datatype: 'FP16' }] }, /input "x" is FP16 on the server and FP32 here/],
    [
      'another rank',
      { inputs: [{ ...image, shape: [2] }] },
      /input "x" has the shape \[2\] on the server and is float32\[batch,2\]/,
    ],
    ['another dim', { outputs: [{ ...scores, shape: [-1, 3] }] }, /dim 1 of output "y" is 3 on the server and 2 here/],
    [
      'a fixed dim',
      { inputs: [{ ...image, shape: [1, 2] }] },
      /dim 0 of input "x" is fixed at 1 on the server and open here/,
    ],
    ['a missing output', { outputs: [{ ...scores, name: 'z' }] }, /the server has no output "y", only "z"/],
  ]
  test.each(different)('to a server with %s is refused in one sentence', async (_, change, sentence) => {
    const { url } = await serve(scheme, { ...pose, ...change })
    await expect(connect(url, { bindings })).rejects.toMatchObject({
      code: 'SERVER_MISMATCH',
      message: expect.stringMatching(sentence),
    })
  })

  test('accepts the bindings of a manifest, open dims, and outputs that nobody asks for', async () => {
    const { url } = await serve(scheme, { ...pose, outputs: [scores, { ...scores, name: 'more' }] })
    const model = await connect(url, { bindings: { bindings } })
    expect(model.bindings).toEqual(bindings)
    expect((await model.infer({ x }))['y']).toEqual({ dtype: 'float32', ...x })
    expect(model.variant).toMatchObject({ backend: 'remote', server: { url }, skipped: [] })
  })

  test('to a server that describes no bindings needs them', async () => {
    const { url } = await serve(scheme, { ...pose, inputs: [], outputs: [] })
    await expect(connect(url)).rejects.toMatchObject({
      code: 'SERVER_MISMATCH',
      hint: expect.stringContaining('bindings'),
    })
    expect((await (await connect(url, { bindings })).infer({ x }))['y']?.dims).toEqual([2, 2])
  })

  const refused: readonly (readonly [string, Partial<FakeModel>, Partial<ServerOptions>, string, RegExp])[] = [
    ['an unknown model', {}, { model: 'other' }, 'SERVER_MISMATCH', /Model with name other does not exist/],
    ['an unknown version', { versions: ['1'] }, { version: '2' }, 'SERVER_MISMATCH', /no version 2/],
    ['an unknown datatype', { inputs: [{ ...image, datatype: 'FP8' }] }, {}, 'SERVER_MISMATCH', /datatype "FP8"/],
    ['a server that is not live', { live: false }, {}, 'SERVER_UNAVAILABLE', /not live|status 400/],
    ['a model that is not ready', { ready: false }, {}, 'SERVER_UNAVAILABLE', /not ready/],
  ]
  test.each(refused)('to %s is refused', async (...row) => {
    const [, model, options, code, text] = row
    const { url } = await serve(scheme, { ...pose, ...model })
    const error = expect.objectContaining({ code, message: expect.stringMatching(text) })
    await expect(connect(url, { retries: 0, ...options })).rejects.toEqual(error)
  })

  test('runs the version that was asked for', async () => {
    const { url } = await serve(scheme, { ...pose, versions: ['1', '2'] })
    const model = await connect(url, { version: '2' })
    expect(model.variant.server?.versions).toEqual(['1', '2'])
    await expect(model.infer({ x })).resolves.toHaveProperty('y')
  })

  test.each(['', '1'])('to a version, of which the answers name %j instead, refuses the answers', async (ran) => {
    const { url } = await serve(scheme, { ...pose, ran })
    const model = await connect(url, { version: '2' })
    await expect(model.infer({ x })).rejects.toMatchObject({ code: 'SERVER_MISMATCH', expected: 'version "2"' })
  })

  test('to no server at all reports the reason', async () => {
    const server = await serve(scheme)
    await server.kill()
    await expect(connect(server.url, { retries: 0 })).rejects.toMatchObject({
      code: 'SERVER_UNAVAILABLE',
      message: expect.stringMatching(/model "pose": .*ECONNREFUSED/),
    })
  })
})

describe.each(schemes)('a call over %s', (scheme) => {
  test('sends the headers, and asks for them again for each request', async () => {
    const server = await serve(scheme)
    let turn = 0
    const model = await connect(server.url, { headers: async () => ({ authorization: `Bearer ${++turn}` }) })
    await model.infer({ x })
    const before = turn
    await model.infer({ x })
    expect(server.calls.map(({ headers }) => headers['authorization'])).toEqual([
      `Bearer ${before}`,
      `Bearer ${before + 1}`,
    ])
  })

  test('rejects at once when its signal aborts, and the server sees it', async () => {
    const server = await serve(scheme, hangs)
    const model = await connect(server.url)
    const abort = new AbortController()
    const call = model.infer({ x }, { signal: abort.signal })
    await received(server, 1)
    abort.abort(new Error('the user left'))
    await expect(call).rejects.toMatchObject({ code: 'ABORTED', cause: new Error('the user left') })
    await server.calls[0]?.cancelled
    await expect(model.infer({ x }, { signal: abort.signal })).rejects.toMatchObject({ code: 'ABORTED' })
    expect(server.calls).toHaveLength(1)
  })

  test('that takes too long rejects, and is cancelled on the server', async () => {
    const server = await serve(scheme, hangs)
    const model = await connect(server.url, { timeouts: { infer: 200 } })
    await expect(model.infer({ x })).rejects.toMatchObject({ code: 'SERVER_UNAVAILABLE', received: 'none in 200 ms' })
    await server.calls[0]?.cancelled
    expect(server.calls).toHaveLength(1)
  })

  test('during which the server is killed rejects, and is not sent again', async () => {
    const first = await serve(scheme, hangs)
    const second = await serve(scheme)
    const model = await connect([first.url, second.url])
    const call = model.infer({ x })
    await received(first, 1)
    await first.kill()
    await expect(call).rejects.toMatchObject({
      code: 'SERVER_UNAVAILABLE',
      hint: expect.stringContaining('not sent again'),
    })
    expect(second.calls).toEqual([])
  })

  test('that the server fails has its own text', async () => {
    const model = await connect(
      (await serve(scheme, { ...pose, infer: refuse(500, 13, 'CUDA out of memory\u001b[31m') })).url,
    )
    await expect(model.infer({ x })).rejects.toMatchObject({
      code: 'INFERENCE_FAILED',
      message: expect.stringMatching(/^model "pose" on \w+:\/\/127.0.0.1:\d+: .*CUDA out of memory \[31m$/),
    })
  })

  test('without credentials names the option for them', async () => {
    const model = await connect((await serve(scheme, { ...pose, infer: refuse(401, 16, 'no token') })).url)
    await expect(model.infer({ x })).rejects.toMatchObject({
      code: 'SERVER_UNAVAILABLE',
      hint: expect.stringContaining('headers'),
    })
  })

  const four = Buffer.from(x.data.buffer)
  const wrong: readonly (readonly [
    string,
    readonly { name: string; datatype: string; shape: number[]; bytes: Buffer }[],
    RegExp,
  ])[] = [
    ['without the output', [], /output "y": .*no outputs/],
    [
      'with another datatype',
      [{ name: 'y', datatype: 'INT32', shape: [2, 2], bytes: four }],
      /datatype "INT32", for float32/,
    ],
    ['with another rank', [{ name: 'y', datatype: 'FP32', shape: [4], bytes: four }], /shape \[4\]/],
    ['with another static dim', [{ name: 'y', datatype: 'FP32', shape: [4, 1], bytes: four }], /shape \[4,1\]/],
    [
      'with too few bytes',
      [{ name: 'y', datatype: 'FP32', shape: [2, 2], bytes: four.subarray(4) }],
      /12 bytes instead of 16/,
    ],
    [
      'with a shape of astronomic size',
      [{ name: 'y', datatype: 'FP32', shape: [2 ** 40, 2], bytes: four }],
      /16 bytes instead of/,
    ],
  ]
  test.each(wrong)('is refused when the answer comes %s', async (_, outputs, text) => {
    const model = await connect((await serve(scheme, { ...pose, infer: async () => outputs })).url, { bindings })
    await expect(model.infer({ x })).rejects.toMatchObject({
      code: 'INFERENCE_FAILED',
      message: expect.stringMatching(text),
    })
  })

  test('keeps the inputs that it was called with', async () => {
    const server = await serve(scheme)
    const model = await connect(server.url)
    const data = Float32Array.of(5, 6)
    const call = model.infer({ x: { data, dims: [1, 2] } })
    data.fill(0)
    expect((await call)['y']?.data).toEqual(Float32Array.of(5, 6))
  })

  test('is checked here before anything is sent', async () => {
    const server = await serve(scheme)
    const model = await connect(server.url, { bindings })
    await expect(model.infer({ x: { ...x, dims: [4, 1] } })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    await expect(model.infer({ z: x })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    expect(server.calls).toEqual([])
  })

  test('can be 64 calls at once, each with its own answer', async () => {
    const model = await connect((await serve(scheme)).url)
    const calls = Array.from({ length: 64 }, (_, index) =>
      model.infer({ x: tensor('float32', Float32Array.of(index, -index), [1, 2]) }),
    )
    const answers = await Promise.all(calls)
    expect(answers.map(({ y }) => y?.data[0])).toEqual(calls.map((_, index) => index))
  })

  test('of 24 MB passes, and an answer above maxResponseBytes does not', async () => {
    const { url } = await serve(scheme)
    const large = { data: new Float32Array(6e6).fill(0.5), dims: [3e6, 2] }
    const { y } = await (await connect(url)).infer({ x: large })
    const { buffer } = (y ?? x).data as Float32Array
    // expect() takes minutes to compare as many elements.
    expect(Buffer.compare(Buffer.from(buffer), Buffer.from(large.data.buffer))).toBe(0)
    const model = await connect(url, { maxResponseBytes: 1e6 })
    await expect(model.infer({ x: large })).rejects.toThrow(/maxResponseBytes/)
  })

  test('after dispose() rejects, and dispose() waits for those before it', async () => {
    const model = await connect((await serve(scheme)).url)
    const call = model.infer({ x })
    await model.dispose()
    await expect(call).resolves.toHaveProperty('y')
    await expect(model.infer({ x })).rejects.toMatchObject({ code: 'DISPOSED' })
  })
})

describe.each(schemes)('several servers over %s', (scheme) => {
  test('are called in turn', async () => {
    const servers = [await serve(scheme), await serve(scheme), await serve(scheme)]
    const model = await connect(servers.map(({ url }) => url))
    for (let call = 0; call < 9; call++) await model.infer({ x })
    expect(servers.map(({ calls }) => calls.length)).toEqual([3, 3, 3])
  })

  test('lose one without a failed call, and use it again once it is back', async () => {
    const first = await serve(scheme)
    const second = await serve(scheme)
    const model = await connect([first.url, second.url])
    await model.infer({ x })
    await first.kill()
    for (let call = 0; call < 4; call++) await model.infer({ x })
    expect(second.calls).toHaveLength(4)
    const back = await serve(scheme, pose, { port: first.port })
    await expect.poll(() => model.infer({ x }).then(() => back.calls.length > 0), { timeout: 10_000 }).toBe(true)
  })

  test('of which one has another model are refused', async () => {
    const first = await serve(scheme)
    const other = await serve(scheme, { ...pose, inputs: [{ ...image, datatype: 'FP64' }] })
    await expect(connect([first.url, other.url])).rejects.toThrow(/input "x" is FP64 on the server and FP32 here/)
  })
})

describe.each(schemes)('a server that is restarted over %s', (scheme) => {
  test('answers the call that waits for it', async () => {
    const server = await serve(scheme)
    const model = await connect(server.url)
    await model.infer({ x })
    await server.kill()
    await expect(model.infer({ x })).rejects.toMatchObject({ code: 'SERVER_UNAVAILABLE' })
    const waiting = model.infer({ x })
    await serve(scheme, pose, { port: server.port })
    await expect(waiting).resolves.toHaveProperty('y')
  })
})

test('a server that is restarted with another model is noticed before the next call over gRPC', async () => {
  const server = await serve('grpc')
  const model = await connect(server.url)
  await model.infer({ x })
  await server.kill()
  await expect(model.infer({ x })).rejects.toMatchObject({ code: 'SERVER_UNAVAILABLE' })
  const other = await serve('grpc', { ...pose, inputs: [{ ...image, datatype: 'INT32' }] }, { port: server.port })
  await expect(model.infer({ x })).rejects.toMatchObject({ code: 'SERVER_MISMATCH' })
  expect(other.calls).toEqual([])
})

describe('garbage over HTTP', () => {
  const page = '<!doctype html><title>nginx</title>'
  const answers: readonly (readonly [string, string, { status?: number; body: string | Buffer }, string, RegExp])[] = [
    ['a page instead of metadata', '/v2/models/pose', { body: page }, 'SERVER_MISMATCH', /nginx/],
    ['JSON without a name', '/v2/models/pose', { body: '{"inputs":[]}' }, 'SERVER_MISMATCH', /metadata of the Open/],
    ['a proxy without a server', '/v2/health/live', { status: 502, body: page }, 'SERVER_UNAVAILABLE', /status 502/],
    ['a path that nobody serves', '/v2/health/live', { status: 404, body: page }, 'SERVER_MISMATCH', /status 404/],
    [
      'a page instead of outputs',
      '/v2/models/pose/infer',
      { body: page },
      'INFERENCE_FAILED',
      /not the Open Inference Protocol/,
    ],
    [
      'outputs without data',
      '/v2/models/pose/infer',
      { body: JSON.stringify({ outputs: [scores] }) },
      'INFERENCE_FAILED',
      /not the Open/,
    ],
    [
      'null for a number',
      '/v2/models/pose/infer',
      { body: JSON.stringify({ outputs: [{ ...scores, shape: [1, 2], data: [1, null] }] }) },
      'INFERENCE_FAILED',
      /null for float32, at index 1/,
    ],
    [
      'more bytes declared than sent',
      '/v2/models/pose/infer',
      { body: JSON.stringify({ outputs: [{ ...scores, parameters: { binary_data_size: 16 } }] }) },
      'INFERENCE_FAILED',
      /not the Open/,
    ],
    ['a redirect', '/v2/models/pose/infer', { status: 302, body: '' }, 'INFERENCE_FAILED', /status 302/],
    [
      'a message that is too large',
      '/v2/models/pose/infer',
      { status: 413, body: 'too large' },
      'INFERENCE_FAILED',
      /limit for messages/,
    ],
  ]
  test.each(answers)('%s is an error', async (...row) => {
    const [, place, answer, code, text] = row
    const server = await serve('http', { ...pose, raw: (path) => (path === place ? answer : undefined) })
    const error = expect.objectContaining({ code, message: expect.stringMatching(text) })
    await expect(connect(server.url, { retries: 0 }).then((model) => model.infer({ x }))).rejects.toEqual(error)
  })

  test('a page below a path prefix is not asked for', async () => {
    const server = await serve('http', {
      ...pose,
      raw: (path) => (path.startsWith('/team/') ? { body: `{"name":"pose","path":"${path}"}` } : undefined),
    })
    await expect(connect(`${server.url}/team`, { bindings })).resolves.toMatchObject({ name: 'pose' })
  })
})

describe('an option of connectServer()', () => {
  const url = 'http://127.0.0.1:1'
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ url: 'host:8001' }, /"url": expected grpc:\/\//],
    [{ url: [] }, /"url"/],
    [{ url: 'http://user:secret@host' }, /"url": expected a URL without a user name/],
    [{ url: 'grpc://host:1/path' }, /gRPC address without a path/],
    [{ url, timeout: 5 }, /"timeout": .*Did you mean "timeouts"/],
    [{ url, timeouts: { infer: 0 } }, /"infer"/],
    [{ url, timeouts: { read: 1 } }, /"read"/],
    [{ url, headers: { a: 1 } }, /"headers"/],
    [{ url, tls: { ca: 5 } }, /"ca"/],
    [{ url, retries: -1 }, /"retries"/],
    [{ url, bindings: {} }, /"bindings"/],
    [{ url, model: '' }, /"model"/],
    [{ model: 'pose' }, /"url": expected a URL, received nothing/],
  ]
  test.each(cases)('%j is refused', async (options, text) => {
    const call = connectServer({ model: 'pose', ...options } as ServerOptions)
    await expect(call).rejects.toMatchObject({ code: 'OPTION_INVALID', message: expect.stringMatching(text) })
    await expect(call).rejects.not.toThrow(/secret/)
  })
})
