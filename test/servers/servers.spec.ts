import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile, writeModel } from 'unplugin-onnx'
import { connectServer, type ServerOptions } from 'unplugin-onnx/remote'
import { loadModel, type DType, type Model } from 'unplugin-onnx/runtime'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { datatypes } from '../../runtime/remote/datatypes.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel } from '../support/models.ts'
import { ocrModel } from '../support/openvino-models.ts'
import { orSkip, pythonWith } from '../support/python.ts'
import { startPythonServer, type PythonServer, type ServerName } from './python-server.ts'

const python = await orSkip('kserve and MLServer', async () => {
  return process.env['SERVERS_PYTHON'] ?? pythonWith(new URL('requirements.txt', import.meta.url).pathname)
})

const folder = tempFolder()
const models = join(folder, 'models')
const nets = {
  cls: { file: 'cls_infer.onnx', dims: [2, 3, 48, 192] },
  rec: { file: 'rec_infer.onnx', dims: [1, 3, 48, 320] },
  det: { file: 'det_infer.onnx', dims: [1, 3, 320, 320] },
} as const
type NetName = keyof typeof nets

const samples = {
  bool: Uint8Array.of(0, 1, 1),
  uint8: Uint8Array.of(0, 1, 255),
  int8: Int8Array.of(-128, 0, 127),
  uint16: Uint16Array.of(0, 1, 65_535),
  int16: Int16Array.of(-32_768, 0, 32_767),
  uint32: Uint32Array.of(0, 1, 2 ** 32 - 1),
  int32: Int32Array.of(-(2 ** 31), 0, 2 ** 31 - 1),
  uint64: BigUint64Array.of(0n, 1n, 2n ** 53n - 1n),
  int64: BigInt64Array.of(-(2n ** 53n) + 1n, 0n, 7n),
  float16: Uint16Array.of(0x3c00, 0xc000, 0x0001),
  float32: Float32Array.of(0.1, -3.4e38, 1e-38),
  float64: Float64Array.of(0.1, -1.7e308, 5e-324),
  string: ['', 'tüst\n', '𝒳'],
} as const satisfies { readonly [D in DType]?: unknown }

/** Compiled here, as an app does it. */
const manifests = new Map<NetName, string>()

beforeAll(async () => {
  mkdirSync(models, { recursive: true })
  for (const [name, { file }] of Object.entries(nets)) {
    copyFileSync(ocrModel(file), join(models, `${name}.onnx`))
    const compiled = await compile(join(models, `${name}.onnx`), { root: folder, backends: ['onnxruntime'] })
    manifests.set(name as NetName, await writeModel(compiled, join(folder, 'engines')))
  }
  for (const dtype of Object.keys(samples)) writeFileSync(join(models, `echo-${dtype}.onnx`), echo(dtype))
  writeFileSync(join(models, 'slow.onnx'), echo('float32'))
})

function echo(dtype: string): Uint8Array {
  return onnxModel({
    inputs: { x: `${dtype}[3]` },
    outputs: { y: `${dtype}[3]` },
    nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
  })
}

function image(net: NetName): { readonly data: Float32Array; readonly dims: readonly number[] } {
  const { dims } = nets[net]
  const data = Float32Array.from({ length: dims.reduce<number>((product, dim) => product * dim, 1) }, (_, index) =>
    Math.sin(index * 0.37),
  )
  return { data, dims }
}

async function connect(url: ServerOptions['url'], model: string, options: Partial<ServerOptions> = {}) {
  // Both servers answer nothing else while a model runs.
  const remote = await connectServer<Model>({ url, model, timeouts: { connect: 60_000 }, ...options })
  onTestFinished(() => remote.dispose())
  return remote
}

describe.skipIf(!python).each(['kserve', 'mlserver'] as const satisfies readonly ServerName[])('%s', (name) => {
  let server: PythonServer
  beforeAll(async () => {
    server = await startPythonServer(name, python ?? '', models)
  })
  afterAll(() => server.kill())

  describe.each(['grpc', 'http'] as const)('over %s', (scheme) => {
    test.each(Object.keys(nets) as NetName[])('%s gives the numbers of the engine here', async (net) => {
      await using local = await loadModel(manifests.get(net) ?? '')
      const remote = await connect(server[scheme], net, { bindings: local })
      const inputs = { [local.bindings.inputs[0]?.name ?? '']: image(net) }
      const [here, there] = [await local.infer(inputs), await remote.infer(inputs)]
      expect(Object.keys(there)).toEqual(Object.keys(here))
      for (const [output, { dims, data }] of Object.entries(here)) {
        expect(there[output]?.dims).toEqual(dims)
        const other = there[output]?.data as Float32Array
        const furthest = (data as Float32Array).reduce(
          (most, value, at) => Math.max(most, Math.abs(value - (other[at] ?? NaN))),
          0,
        )
        expect(furthest).toBeLessThan(2e-5)
      }
    })

    test.each(Object.keys(samples) as (keyof typeof samples)[])(
      '%s comes back unchanged, or is refused by name',
      async (dtype) => {
        const remote = await connect(server[scheme], `echo-${dtype}`)
        const call = remote.infer({ x: samples[dtype] as never })
        const jsonOnly = scheme === 'http' && name === 'mlserver' && datatypes[dtype].contents === undefined
        const refused = { code: 'INPUT_INVALID', received: `${dtype}, which JSON cannot carry` }
        const answer = await call.then(
          ({ y }) => y,
          (error: unknown) => error,
        )
        expect(answer).toMatchObject(jsonOnly ? refused : { dtype, dims: [3], data: samples[dtype] })
      },
    )

    test('64 callers get their own answers', async () => {
      const remote = await connect(server[scheme], 'echo-float32')
      const calls = Array.from({ length: 64 }, (_, index) => remote.infer({ x: Float32Array.of(index, -index, 0.5) }))
      expect((await Promise.all(calls)).map(({ y }) => y?.data[0])).toEqual(calls.map((_, index) => index))
    })

    test('an unknown model is refused in its own words', async () => {
      await expect(connect(server[scheme], 'nope')).rejects.toMatchObject({
        code: 'SERVER_MISMATCH',
        message: expect.stringMatching(/nope/),
      })
    })

    test('another model than the one of the app is refused', async () => {
      await using local = await loadModel(manifests.get('cls') ?? '')
      await expect(connect(server[scheme], 'rec', { bindings: local })).rejects.toMatchObject({
        code: 'SERVER_MISMATCH',
      })
    })

    test('a wrong version is refused', async () => {
      const run = connect(server[scheme], 'echo-float32', { version: '9' }).then((remote) =>
        remote.infer({ x: Float32Array.of(1, 2, 3) }),
      )
      await expect(run).rejects.toMatchObject({ code: 'SERVER_MISMATCH' })
    })

    test('a failing inference has the text of ONNX Runtime', async () => {
      const remote = await connect(server[scheme], 'cls')
      const twoChannels = { data: new Float32Array(2 * 48 * 192), dims: [1, 2, 48, 192] }
      const lax = { inputs: [{ name: 'x', dtype: 'float32', dims: null }], outputs: remote.bindings.outputs } as const
      const unchecked = await connect(server[scheme], 'cls', { bindings: lax })
      await expect(unchecked.infer({ x: twoChannels })).rejects.toMatchObject({
        code: 'INFERENCE_FAILED',
        message: expect.stringMatching(/Got invalid dimensions|INVALID_ARGUMENT|Internal server error/i),
      })
    })

    test('a slow call ends at its time-out', async () => {
      const remote = await connect(server[scheme], 'slow', { timeouts: { connect: 60_000, infer: 500 } })
      await expect(remote.infer({ x: Float32Array.of(1, 2, 3) })).rejects.toMatchObject({
        code: 'SERVER_UNAVAILABLE',
        received: 'none in 500 ms',
      })
    })
  })

  test.each(['grpc', 'http'] as const)(
    'a killed server rejects the call over %s, and answers after its restart',
    async (scheme) => {
      const remote = await connect(server[scheme], 'slow')
      const rejected = remote.infer({ x: Float32Array.of(1, 2, 3) }).catch((error: unknown) => error)
      await server.kill()
      expect(await rejected).toMatchObject({ code: 'SERVER_UNAVAILABLE' })
      await server.restart()
      const { y } = await remote.infer({ x: Float32Array.of(1, 2, 3) })
      expect(y?.data).toEqual(Float32Array.of(1, 2, 3))
    },
  )
})
