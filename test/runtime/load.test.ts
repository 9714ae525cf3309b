import { copyFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createModel, loadModel, type ModelManifest } from 'unplugin-onnx/runtime'
import { beforeAll, describe, expect, test } from 'vitest'
import { double, factsOf, ortManifest, pair } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel } from '../support/models.ts'

const folder = tempFolder()
let manifest: ModelManifest

beforeAll(async () => {
  manifest = await ortManifest(folder, 'double', double)
})

describe('choice of a variant', () => {
  test('the first variant that this machine can run is opened, with the reasons why others were skipped', async () => {
    await using model = await createModel({ ...manifest, variants: variants() }).load()
    expect(model.variant?.skipped.map(({ reason }) => reason)).toEqual([
      expect.stringMatching(/^compiled for riscv64, this machine is /),
      expect.stringMatching(
        /^weights laid out for CPUs|^compiled by ONNX Runtime 0.1.0, but onnxruntime-node .* is installed/,
      ),
      expect.stringMatching(/^compiled by ONNX Runtime 1.999.0, but onnxruntime-node .* is installed/),
      'this version of unplugin-onnx cannot run it',
    ])
  })

  test('no variant to run is an error with every reason', async () => {
    const model = createModel({ ...manifest, variants: variants().slice(0, 1) })
    await expect(model.infer({ x: pair })).rejects.toMatchObject({
      code: 'NO_VARIANT',
      message: expect.stringMatching(
        /model "double": expected a variant that this machine can run, received onnxruntime fp32 \(compiled for riscv64/,
      ),
    })
    await expect(createModel({ ...manifest, variants: [] }).load()).rejects.toMatchObject({
      code: 'NO_VARIANT',
      message: expect.stringContaining('no variants'),
    })
  })

  test('only the required backend is taken', async () => {
    await expect(createModel(manifest, { require: 'tensorrt-rtx' }).load()).rejects.toMatchObject({
      code: 'NO_VARIANT',
      message: expect.stringContaining('a variant of tensorrt-rtx that this machine can run'),
    })
    await using model = await createModel(manifest, { require: 'onnxruntime' }).load()
    expect(model.variant?.backend).toBe('onnxruntime')
  })

  test('a portable engine, which is an ONNX file, is opened', async () => {
    const file = join(folder, 'portable.onnx')
    writeFileSync(file, onnxModel(double))
    await using model = createModel(withFile(pathToFileURL(file), factsOf(file)))
    expect((await model.infer({ x: pair }))['y']?.data).toEqual(Float32Array.of(2, 4))
  })
})

test.each<[object, string]>([
  [{ worker: 2 }, 'option "worker": expected a known option. Did you mean "workers"?'],
  [{ workers: 0 }, 'option "workers": expected a whole number from 1, received 0'],
  [{ threads: 1.5 }, 'option "threads": expected a whole number from 1, received 1.5'],
  [{ device: '0' }, 'option "device": expected a whole number from 0, received 0'],
  [
    { require: 'cpu' },
    'option "require": expected one of onnxruntime, openvino, tensorrt-rtx, tensorrt, wasm, webgpu, received cpu',
  ],
])('invalid options of a model are refused: %o', (options, message) => {
  expect(() => createModel(manifest, options)).toThrow(message)
})

describe('loadModel', () => {
  test('engines next to the manifest are found, by path and by URL', async () => {
    const path = write('double.json', relative())
    for (const place of [path, pathToFileURL(path), pathToFileURL(path).href]) {
      await using model = await loadModel(place)
      expect(model.name).toBe('double')
      expect(model.bindings).toEqual(manifest.bindings)
      expect((await model.infer({ x: pair }))['y']?.data).toEqual(Float32Array.of(2, 4))
    }
  })

  test('a missing manifest is an error', async () => {
    await expect(loadModel(join(folder, 'absent.json'))).rejects.toMatchObject({
      code: 'MODEL_NOT_FOUND',
      message: expect.stringContaining('absent.json'),
    })
    for (const place of [folder, 'https://example.com/pose.json', 3, undefined] as string[]) {
      await expect(loadModel(place)).rejects.toMatchObject({ name: 'OnnxEngineError', code: 'MODEL_NOT_FOUND' })
    }
  })

  test('a missing engine file is named', async () => {
    const model = await loadModel(write('lost.json', withFile('lost.ort')))
    await expect(model.load()).rejects.toMatchObject({
      code: 'ARTIFACT_INVALID',
      message: expect.stringMatching(/lost\.ort: expected a file of \d+ bytes, received no such file/),
    })
  })

  test('engines in an asar archive of Electron are read, unpacked ones first', async () => {
    // To node:fs, an archive is a folder there.
    const [archive, unpacked] = [join(folder, 'app.asar'), join(folder, 'app.asar.unpacked')]
    mkdirSync(archive)
    mkdirSync(unpacked)
    copyFileSync(join(folder, 'double.ort'), join(archive, 'double.ort'))
    writeFileSync(join(archive, 'double.json'), JSON.stringify(relative()))
    const load = async () => (await loadModel(join(archive, 'double.json'))).load()
    expect((await load()).variant?.backend).toBe('onnxruntime')
    renameSync(join(archive, 'double.ort'), join(unpacked, 'double.ort'))
    expect((await load()).variant?.backend).toBe('onnxruntime')
  })

  test('an engine that is no file is an error', async () => {
    await expect(createModel(withFile('https://example.com/pose.ort')).load()).rejects.toMatchObject({
      code: 'ARTIFACT_INVALID',
      message: expect.stringContaining(
        'engine file of onnxruntime fp32: expected a path or a file: URL of this machine, ' +
          'received https://example.com/pose.ort',
      ),
    })
    await expect(createModel(withFile(folder)).load()).rejects.toMatchObject({
      name: 'OnnxEngineError',
      code: 'ARTIFACT_INVALID',
    })
  })

  test.each<[string, () => unknown, string]>([
    ['an empty file', () => '', 'expected JSON'],
    ['a broken file', () => '{"schema": 1', 'expected JSON'],
    ['a list', () => [], 'expected the manifest to be an object, received a list'],
    ['null', () => null, 'expected the manifest to be an object, received null'],
    ['a later schema', () => ({ ...relative(), schema: 2 }), 'expected the manifest.schema to be 1, received 2'],
    [
      'an unknown dtype',
      () => ({ ...relative(), bindings: { inputs: [{ name: 'x', dtype: 'float', dims: [] }], outputs: [] } }),
      'the manifest.bindings.inputs[0].dtype to be a dtype, received "float"',
    ],
    [
      'a negative dim',
      () => ({ ...relative(), bindings: { inputs: [{ name: 'x', dtype: 'int8', dims: [-1] }], outputs: [] } }),
      'the manifest.bindings.inputs[0].dims to be dims',
    ],
    ['no variants', () => ({ ...relative(), variants: {} }), 'the manifest.variants to be a list, received object'],
    [
      'a short checksum',
      () => ({ ...relative(), variants: relative().variants.map((variant) => ({ ...variant, sha256: 'abc' })) }),
      'the manifest.variants[0].sha256 to be 64 hex digits, received "abc"',
    ],
  ])('a manifest with %s is refused', async (name, content, message) => {
    const path = write(`${name}.json`, content())
    await expect(loadModel(path)).rejects.toMatchObject({
      code: 'ARTIFACT_INVALID',
      message: expect.stringContaining(message),
    })
  })
})

// All but the last cannot run here, each for another reason.
function variants(): ModelManifest['variants'] {
  const [variant] = manifest.variants
  if (variant?.backend !== 'onnxruntime') throw new Error('the manifest has no engine')
  const { requires } = variant
  return [
    { ...variant, requires: { ...requires, arch: 'riscv64' } },
    {
      ...variant,
      requires: { ...requires, arch: process.arch, layout: process.arch === 'x64' ? 8 : 16, version: '0.1.0' },
    },
    { ...variant, requires: { ...requires, version: '1.999.0' } },
    { ...variant, backend: 'crystal-ball' as 'onnxruntime' },
    variant,
  ]
}

function withFile(file: URL | string, facts = {}): ModelManifest {
  return { ...manifest, variants: manifest.variants.map((variant) => ({ ...variant, file, ...facts })) }
}

function relative(): ModelManifest {
  return withFile('double.ort')
}

function write(name: string, content: unknown): string {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}
