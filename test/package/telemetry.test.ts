import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { writeFiles } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'

const dist = new URL('../../dist/', import.meta.url)

const compileAndRun = `
import { compile, writeModel } from '${new URL('plugin/index.js', dist).href}'
import { loadModel } from '${new URL('runtime/index.js', dist).href}'

const model = await loadModel(await writeModel(await compile('model.onnx', { backends: ['onnxruntime'] }), 'engines'))
await model.infer({ x: new Float32Array(4) })
await model.dispose()
`

// Only its Linux builds keep what they send in the user's cache folder, where it can be seen without sending anything.
test.runIf(process.platform === 'linux').each([
  ['tells nobody about models', undefined, []],
  ['tells its makers about models where the user wants it', '0', ['Microsoft']],
])('ONNX Runtime %s', async (_, wish, traces) => {
  const home = tempFolder()
  writeFiles(home, { 'run.mjs': compileAndRun, 'model.onnx': affineModel(), '.cache/own': '' })
  // It is silent on machines for CI anyway, which it knows by the environment. A proxy that is not there keeps what it
  // would send.
  const env = {
    PATH: process.env['PATH'],
    HOME: home,
    ...(wish !== undefined && { ORT_DISABLE_TELEMETRY: wish }),
    https_proxy: 'http://127.0.0.1:9',
  }
  await promisify(execFile)(process.execPath, [join(home, 'run.mjs')], { cwd: home, env })
  expect(readdirSync(join(home, '.cache')).filter((name) => name === 'Microsoft')).toEqual(traces)
})
