import { createModel, type LoadOptions, type ModelManifest } from 'unplugin-onnx/runtime'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { ortManifest } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'
import { startServer, type FakeModel } from '../support/inference-server.ts'

const folder = tempFolder()
let local: ModelManifest
// The server's model adds nothing, and the local one is negative: the outputs show which of them ran.
const served: FakeModel = {
  name: 'pose',
  inputs: [{ name: 'x', datatype: 'FP32', shape: [2] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [2] }],
}
const x = Float32Array.of(1, 2)
const remoteOutput = x
const localOutput = Float32Array.of(-1, -2)

beforeAll(async () => {
  local = await ortManifest(folder, 'pose', {
    inputs: { x: 'float32[2]' },
    outputs: { y: 'float32[2]' },
    nodes: [{ op: 'Neg', inputs: ['x'], outputs: ['y'] }],
  })
})

/** The same model, whose engine this machine cannot run. */
function foreign(): ModelManifest {
  return {
    ...local,
    variants: local.variants.map(
      (variant) => ({ ...variant, requires: { ...variant.requires, arch: 'sparc' } }) as never,
    ),
  }
}

async function serve(model: FakeModel = served): Promise<string> {
  const server = await startServer('grpc', model)
  onTestFinished(() => server.kill())
  return server.url
}

async function infer(manifest: ModelManifest, options: LoadOptions) {
  const model = createModel(manifest, options)
  onTestFinished(() => model.dispose())
  const { y } = await model.infer({ x })
  return { data: y?.data, variant: model.variant }
}

describe('the load option remote', () => {
  test('runs the engine here when it can', async () => {
    const { data, variant } = await infer(local, { remote: { url: await serve() } })
    expect(data).toEqual(localOutput)
    expect(variant).toMatchObject({ backend: 'onnxruntime', skipped: [] })
  })

  test('runs on the server when no engine can run here, and the variant names the reason', async () => {
    const url = await serve()
    const { data, variant } = await infer(foreign(), { remote: { url } })
    expect(data).toEqual(remoteOutput)
    expect(variant).toMatchObject({ backend: 'remote', server: { url } })
    expect(variant?.skipped[0]).toMatchObject({
      backend: 'onnxruntime',
      reason: expect.stringContaining('compiled for sparc'),
    })
  })

  test('runs on the server when the engine here fails at its first call', async () => {
    const url = await serve()
    const manifest = await ortManifest(folder, 'failing', {
      inputs: { x: 'float32[2]' },
      outputs: { y: 'float32[2]' },
      nodes: [{ op: 'Reshape', inputs: ['x', 'dims'], outputs: ['y'], name: 'impossible' }],
      initializers: { dims: { dtype: 'int64', dims: [1], data: [7] } },
    })
    const { data, variant } = await infer({ ...manifest, name: 'pose' }, { remote: { url } })
    expect(data).toEqual(remoteOutput)
    expect(variant).toMatchObject({
      backend: 'remote',
      skipped: [{ backend: 'onnxruntime', reason: expect.stringContaining('impossible') }],
    })
    const unreachable = { url: 'http://127.0.0.1:9', retries: 0 }
    await expect(infer({ ...manifest, name: 'pose' }, { remote: unreachable })).rejects.toMatchObject({
      code: 'INFERENCE_FAILED',
      message: expect.stringContaining('impossible'),
    })
  })

  test("with first: 'remote' runs on the server", async () => {
    const { data, variant } = await infer(local, { remote: { url: await serve(), first: 'remote' } })
    expect(data).toEqual(remoteOutput)
    expect(variant?.backend).toBe('remote')
  })

  test("with first: 'remote' runs here when no server answers, and the variant names the reason", async () => {
    const { data, variant } = await infer(local, { remote: { url: 'http://127.0.0.1:9', first: 'remote', retries: 0 } })
    expect(data).toEqual(localOutput)
    expect(variant).toMatchObject({
      backend: 'onnxruntime',
      skipped: [{ backend: 'remote', reason: expect.stringContaining('ECONNREFUSED') }],
    })
  })

  test('does not fall back from a server with another model', async () => {
    const url = await serve({ ...served, inputs: [{ name: 'x', datatype: 'FP64', shape: [2] }] })
    await expect(infer(local, { remote: { url, first: 'remote' } })).rejects.toMatchObject({ code: 'SERVER_MISMATCH' })
  })

  test('is not used when a backend is required', async () => {
    const options = { remote: { url: await serve() }, require: 'onnxruntime' } as const
    await expect(infer(foreign(), options)).rejects.toMatchObject({ code: 'NO_VARIANT' })
  })

  test('takes another name of the model on the server', async () => {
    const url = await serve({ ...served, name: 'team/pose' })
    expect((await infer(foreign(), { remote: { url, model: 'team/pose' } })).data).toEqual(remoteOutput)
  })
})
