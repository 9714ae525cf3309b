import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type CompiledModule, readStart, writeStart } from '../../plugin/node/start-record.ts'
import { tempFolder } from '../support/helpers.ts'

function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
}

const id = '/app/pose.onnx?engine=fp16'

let app = ''
let module: CompiledModule

beforeEach(() => {
  app = tempFolder()
  writeFiles(app, {
    'package.json': '{}',
    'pose.onnx': 'model',
    'weights.bin': 'weights',
    'engine.ort': 'engine',
    'node_modules/onnxruntime-node/package.json': '{"version":"1.0.0"}',
  })
  module = {
    manifest: {
      schema: 1,
      name: 'pose',
      bindings: { inputs: [], outputs: [] },
      variants: [
        {
          backend: 'onnxruntime',
          engine: 'fp16',
          file: pathToFileURL(join(app, 'engine.ort')).href,
          size: 6,
          sha256: 'a'.repeat(64),
          requires: { version: '1.0.0', arch: 'x64', layout: 8 },
        },
      ],
    },
    files: [join(app, 'pose.onnx'), join(app, 'weights.bin')],
    digests: ['d'.repeat(64)],
    cacheDir: join(app, 'node_modules/.cache/unplugin-onnx'),
  }
  mkdirSync(join(module.cacheDir, 'v1/starts'), { recursive: true })
})

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
})

/** Files of this test are new: their stat says something only later. */
async function writeLater(): Promise<void> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 10_000 })
  await writeStart(app, id, module)
}

const recordFile = () => join(module.cacheDir, 'v1/starts', readdirSync(join(module.cacheDir, 'v1/starts'))[0] ?? '')

test('a start finds the model that an earlier one recorded', async () => {
  expect(readStart(app, id)).toBeUndefined()
  await writeLater()
  expect(readStart(app, id)).toMatchObject(module)
  expect(readStart(app, `${id}&io=fp16`)).toBeUndefined()
})

test('files that were just written are not recorded: a second write may leave the same stat', async () => {
  await writeStart(app, id, module)
  expect(readStart(app, id)).toBeUndefined()
})

describe('a start compiles again after a change of', () => {
  test.each<[string, () => void]>([
    ['the model', () => writeFileSync(join(app, 'pose.onnx'), 'other')],
    ['its external data', () => writeFileSync(join(app, 'weights.bin'), 'changed')],
    ['the options', () => writeFiles(app, { 'unplugin-onnx.config.json': '{"engine":"int8"}' })],
    [
      'the options, by code',
      () =>
        writeFiles(app, {
          'unplugin-onnx.config.cjs': '',
          'unplugin-onnx.config.mjs': 'export default { cache: { remote: { store: { get() {} } } } }',
        }),
    ],
    ['the options to wrong ones', () => writeFiles(app, { 'unplugin-onnx.config.json': '{' })],
    ['ONNX Runtime', () => writeFiles(app, { 'node_modules/onnxruntime-node/package.json': '{"version":"1.0.10"}' })],
    ['an environment variable of a library', () => vi.stubEnv('OPENVINO_ROOT', app)],
    ['the size of an engine', () => writeFileSync(join(app, 'engine.ort'), 'engines')],
    [
      'the record itself',
      () => writeFileSync(recordFile(), readFileSync(recordFile(), 'utf8').replace('pose', 'nose')),
    ],
    ['the record, which is empty', () => writeFileSync(recordFile(), '')],
  ])('%s', async (_, change) => {
    await writeLater()
    change()
    expect(readStart(app, id)).toBeUndefined()
  })

  test.skipIf(process.getuid === undefined)('the owner of the cache folder', async () => {
    await writeLater()
    const own = vi.spyOn(process, 'getuid').mockReturnValue(12_345)
    vi.stubEnv('SUDO_UID', undefined)
    expect(readStart(app, id)).toBeUndefined()
    own.mockRestore()
    expect(readStart(app, id)).toBeDefined()
  })
})

test.each([
  ['samples', { calibration: 'samples/*.npy' }],
  ['samples of one model', { models: { '**': { verify: { samples: 'x' } } } }],
  ['a library', { openvino: { library: 'x' } }],
  ['graphs to write', { keepOnnx: 'x' }],
])('options with %s are not recorded, because they depend on more files', async (_, options) => {
  writeFiles(app, { 'unplugin-onnx.config.json': JSON.stringify(options) })
  await writeLater()
  expect(readdirSync(join(module.cacheDir, 'v1/starts'))).toEqual([])
})
