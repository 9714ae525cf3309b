import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { install, writeFiles } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'
import { nodeBinary } from '../support/node-binary.ts'
import { missingOpenVino } from '../support/openvino-models.ts'
import { missingTensorRtRtx } from '../support/tensorrt-library.ts'

// The first that package.json allows of old lines, and one of each line.
const versions = ['20.19.0', '20.20.2', '22.12.0', '22.23.3', '24.21.0', '26.10.0'].filter(
  (version) => version !== process.versions.node,
)
const app = tempFolder()

const script = (what: string) => `
${what}
const { y } = await model.infer({ x: new Float32Array([1, 2, 3, 4]) })
console.log(JSON.stringify({ node: process.versions.node, y: [...y.data], variant: model.variant.backend }))
await model.dispose()
`

beforeAll(() => {
  install(app, ['unplugin-onnx', 'onnxruntime-node', 'vite'])
  writeFiles(app, {
    'package.json': JSON.stringify({ type: 'module' }),
    'unplugin-onnx.config.json': JSON.stringify({ backends: ['onnxruntime'] }),
    'vite.config.js': `
import onnx from 'unplugin-onnx/vite'
export default { plugins: [onnx({ backends: ['onnxruntime'] })] }`,
    'bundled.js': script(`import model from './model.onnx?engine=fp32'`),
    'loaded.js': script(
      `import { loadModel } from 'unplugin-onnx/runtime'\nconst model = await loadModel('engines/model.json')`,
    ),
    'hooked.js': script(`
import { createRequire } from 'node:module'
import model from './model.onnx?engine=fp32'
if (createRequire(import.meta.url)('./model.onnx?engine=fp32').default !== model) throw new Error('not the same')`),
    'model.onnx': affineModel({ weight: 2 }),
  })
})

describe.each(versions)('Node.js %s', (version) => {
  let node = ''
  const run = async (...args: readonly string[]) => (await promisify(execFile)(node, args, { cwd: app })).stdout
  const command = fileURLToPath(new URL('../../dist/plugin/cli.js', import.meta.url))
  const result = { node: version, y: [3, 5, 7, 9], variant: 'onnxruntime' }

  beforeAll(async () => {
    node = await nodeBinary(version, app)
  })

  test('a model is imported without a bundler', async () => {
    expect(JSON.parse(await run('--import', 'unplugin-onnx/node', 'hooked.js'))).toEqual(result)
    expect(JSON.parse(await run('--import', 'unplugin-onnx/node', 'hooked.js'))).toEqual(result)
  })

  test('a model is bundled, and the output runs', async () => {
    await run(
      fileURLToPath(new URL('../../node_modules/vite/bin/vite.js', import.meta.url)),
      'build',
      '--ssr',
      'bundled.js',
      '--outDir',
      version,
    )
    expect(JSON.parse(await run(join(version, 'bundled.js')))).toEqual(result)
  })

  test('the command builds a model that loads', async () => {
    await run(command, 'build', 'model.onnx', '--engine', 'fp32', '--backend', 'onnxruntime', '--out', 'engines')
    expect(JSON.parse(await run('loaded.js'))).toEqual(result)
  })

  test.skipIf(missingOpenVino() !== undefined || missingTensorRtRtx() !== undefined)(
    'the native addons load, although they are built once for all versions',
    async () => {
      const loader = new URL('../../dist/native/load-addon.js', import.meta.url).href
      const outcome =
        `import { loadAddon } from '${loader}'; console.log(Object.keys({ ...loadAddon('openvino'), ` +
        `...loadAddon('tensorrt_rtx_1_7') }).join())`
      expect(await run('--input-type=module', '--eval', outcome)).toBe('addon\n')
    },
  )
})
