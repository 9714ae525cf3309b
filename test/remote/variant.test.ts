import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { compile, writeModel, type Options } from 'unplugin-onnx'
import onnx from 'unplugin-onnx/esbuild'
import { loadModel } from 'unplugin-onnx/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { tempFolder } from '../support/helpers.ts'
import { startServer, type FakeModel, type Scheme } from '../support/inference-server.ts'
import { onnxModel } from '../support/models.ts'

const folder = tempFolder()
const file = join(folder, 'pose.onnx')
// The server's model adds nothing, and the local one is negative: the outputs show which of them ran.
writeFileSync(
  file,
  onnxModel({
    inputs: { x: 'float32[2]' },
    outputs: { y: 'float32[2]' },
    nodes: [{ op: 'Neg', inputs: ['x'], outputs: ['y'] }],
  }),
)
const served: FakeModel = {
  name: 'pose',
  inputs: [{ name: 'x', datatype: 'FP32', shape: [2] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [2] }],
}
const remoteOutput = [1, 2]
const localOutput = [-1, -2]
const nowhere = 'http://127.0.0.1:9'

async function serve(scheme: Scheme = 'grpc', model: FakeModel = served): Promise<string> {
  const server = await startServer(scheme, model)
  onTestFinished(() => server.kill())
  return server.url
}

let outputs = 0
async function built(backends: Options['backends']): Promise<{ readonly folder: string; readonly manifest: string }> {
  const options = { root: folder, backends, cache: { dir: join(folder, 'cache') }, types: false } as const
  const into = join(folder, `out ${++outputs}`)
  return { folder: into, manifest: await writeModel(await compile(file, options), into) }
}

async function infer(manifest: string) {
  const model = await loadModel(manifest)
  onTestFinished(() => model.dispose())
  const { y } = await model.infer({ x: Float32Array.of(1, 2) })
  return { data: Array.from((y?.data ?? []) as Float32Array), variant: model.variant }
}

describe('a server in the option backends', () => {
  test('after an engine runs the model when the engine cannot', async () => {
    const { manifest } = await built(['onnxruntime', { remote: await serve() }])
    expect(await infer(manifest)).toMatchObject({ data: localOutput, variant: { backend: 'onnxruntime' } })
    const text = readFileSync(manifest, 'utf8')
    writeFileSync(manifest, text.replaceAll(/"arch": "[^"]*"/g, '"arch": "sparc"'))
    const { data, variant } = await infer(manifest)
    expect({ data, backend: variant?.backend }).toEqual({ data: remoteOutput, backend: 'remote' })
    expect(variant?.skipped[0]).toMatchObject({ backend: 'onnxruntime', reason: expect.stringContaining('sparc') })
  })

  test('before an engine is tried first, and variant names why it was skipped', async () => {
    const { manifest } = await built([{ remote: await serve() }, 'onnxruntime'])
    expect(await infer(manifest)).toMatchObject({ data: remoteOutput, variant: { backend: 'remote', skipped: [] } })
    const other = await built([{ remote: nowhere }, 'onnxruntime'])
    expect(await infer(other.manifest)).toMatchObject({
      data: localOutput,
      variant: { skipped: [{ backend: 'remote', reason: expect.stringContaining('ECONNREFUSED') }] },
    })
  })

  test('alone needs no engine', async () => {
    const remote = [nowhere, await serve('http', { ...served, name: 'team/pose' })]
    const { manifest, folder: into } = await built([{ remote, model: 'team/pose' }])
    expect(readdirSync(into)).toEqual(['pose.json'])
    expect(await infer(manifest)).toMatchObject({ data: remoteOutput, variant: { backend: 'remote' } })
  })

  test('with another model than the one of the build is refused', async () => {
    const url = await serve('grpc', { ...served, inputs: [{ name: 'x', datatype: 'FP64', shape: [2] }] })
    const { manifest } = await built([{ remote: url }])
    await expect(infer(manifest)).rejects.toMatchObject({ code: 'SERVER_MISMATCH' })
  })
})

const run = promisify(execFile)

async function bundle(platform: 'node' | 'browser', backends: Options['backends']): Promise<string> {
  const outdir = join(tempFolder(), 'dist')
  const entry = join(folder, 'app.js')
  writeFileSync(
    entry,
    `import pose from './pose.onnx'
const { y } = await pose.infer({ x: Float32Array.of(1, 2) })
console.log(JSON.stringify([...y.data]))
await pose.dispose()`,
  )
  const standalone = platform === 'node'
  await build({
    entryPoints: [entry],
    outdir,
    bundle: true,
    format: 'esm',
    platform,
    logLevel: 'silent',
    outExtension: { '.js': '.mjs' },
    plugins: [onnx({ root: folder, backends, cache: { dir: join(folder, 'cache') }, types: false, standalone })],
  })
  return outdir
}

describe('a bundle with a server alone', () => {
  test.each(['grpc', 'http'] as const)('runs without other packages over %s', async (scheme) => {
    const dist = await bundle('node', [{ remote: await serve(scheme) }])
    const { stdout } = await run(process.execPath, [join(dist, 'app.mjs')])
    expect(JSON.parse(stdout)).toEqual(remoteOutput)
    expect(existsSync(join(dist, 'node_modules', '@grpc', 'grpc-js'))).toBe(scheme === 'grpc')
    expect(existsSync(join(dist, 'node_modules', 'onnxruntime-node'))).toBe(false)
  })

  test('for pages is refused, and the error names the server', async () => {
    await expect(bundle('browser', [{ remote: 'http://host:8000' }])).rejects.toThrow(
      /build for browsers: expected some of wasm, received a server/,
    )
  })
})
