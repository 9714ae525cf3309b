import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createModel, type ModelManifest } from 'unplugin-onnx/runtime'
import { beforeAll, describe, expect, test } from 'vitest'
import { runChild } from '../../plugin/child/run.ts'
import { engineParts, modelBytesOf } from '../../runtime/onnxruntime/large-engine.ts'
import { bindingsOf, factsOf, missingNative } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel, type ModelSpec } from '../support/models.ts'
import { uniform } from '../support/samples.ts'

// The format of models with more than 2 GiB of weights, on a small one: test/large has the real size.
const folder = tempFolder()
const weights = uniform(64 * 64, 1, 1)
const spec: ModelSpec = {
  inputs: { x: 'float32[1,64]' },
  outputs: { y: 'float32[1,64]' },
  nodes: [
    { op: 'MatMul', inputs: ['x', 'w'], outputs: ['product'] },
    { op: 'Add', inputs: ['product', 'b'], outputs: ['y'] },
  ],
  initializers: {
    w: { dtype: 'float32', dims: [64, 64], data: [...weights] },
    b: { dtype: 'float32', dims: [1], data: [0.5] },
  },
}

const engine = join(folder, 'engine', 'engine')
let manifest: ModelManifest

beforeAll(async () => {
  mkdirSync(join(folder, 'engine'))
  const model = join(folder, 'model.onnx')
  writeFileSync(model, onnxModel(spec))
  const module = pathToFileURL(createRequire(import.meta.url).resolve('onnxruntime-node')).href
  const settings = { module, level: 'extended', format: 'ONNX', disabled: [], large: true }
  const worker = new URL('../../dist/plugin/backend/onnxruntime/compile.js', import.meta.url)
  await runChild(worker, { name: 'model', model, output: engine, settings, verbose: false })
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string }
  manifest = {
    schema: 1,
    name: 'model',
    bindings: { inputs: bindingsOf(spec.inputs), outputs: bindingsOf(spec.outputs) },
    variants: [
      {
        backend: 'onnxruntime',
        engine: 'fp32',
        file: engine,
        ...factsOf(engine),
        requires: { version, arch: 'any', layout: 0 },
      },
    ],
  }
})

describe('an engine with its weights behind the model', () => {
  test('has the model without them first', () => {
    const { buffer, byteOffset, byteLength } = readFileSync(engine)
    const { model, weights: behind } = engineParts(buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer)
    expect(model.length).toBeLessThan(4096)
    expect(behind?.length).toBeGreaterThanOrEqual(64 * 64 * 4)
  })

  test.each(['native', 'worker'] as const)('gives the numbers of the model in a %s session', async (session) => {
    await using opened = createModel(manifest, { session: missingNative === undefined ? session : 'worker' })
    const x = uniform(64, 1, 2)
    const { y } = await opened.infer({ x: { data: x, dims: [1, 64] } })
    const expected = Float32Array.from({ length: 64 }, (_, column) =>
      x.reduce((sum, value, row) => sum + value * (weights[row * 64 + column] ?? 0), 0.5),
    )
    const received = y?.data as Float32Array
    for (const [index, value] of expected.entries()) expect(received[index]).toBeCloseTo(value, 4)
  })

  test.each([
    ['shorter than its end', new Uint8Array(4)],
    ['an .onnx file', onnxModel(spec)],
    ['with a length beyond it', Uint8Array.of(...Buffer.alloc(8, 255), ...Buffer.from('ONNX+W01'))],
  ])('is not one that is %s', (_, bytes) => {
    expect(modelBytesOf(new Uint8Array(bytes).buffer)).toBeUndefined()
  })
})
