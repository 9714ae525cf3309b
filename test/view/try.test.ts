import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { npyBytes } from '../../plugin/samples/npy.ts'
import type { EngineView, TryResult } from '../../plugin/view/contract.ts'
import { tryModel } from '../../plugin/view/data/try-model.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel, onnxModel } from '../support/models.ts'
import { startView, type StartedView } from '../support/view.ts'
import { endlessLoop } from './nets.ts'

const folder = tempFolder()

function target(name: string, model: Uint8Array) {
  const file = join(folder, name)
  writeFileSync(file, model)
  return { file, options: { root: folder, engine: 'fp32', backends: ['onnxruntime'] }, query: '' } as const
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

test('a model runs on an .npy file', async () => {
  const npy = npyBytes({ dtype: 'float32', dims: [1, 4], data: Float32Array.of(1, 2, 3, 4) } as never)
  const inputs = [{ name: 'x', kind: 'npy', base64: base64(npy) }] as const
  const result: TryResult = await tryModel(target('double.onnx', affineModel()), { inputs, dims: {} })
  expect(result.outputs).toEqual([{ name: 'y', dtype: 'float32', dims: [1, 4], data: [3, 5, 7, 9], isClipped: false }])
  expect(result.code).toContain('await model.infer({ x:')
})

test('a file that is no image is refused with the name of the input', async () => {
  const inputs = [{ name: 'x', kind: 'image', base64: base64(Buffer.from('no image')) }] as const
  await expect(tryModel(target('double.onnx', affineModel()), { inputs, dims: {} })).rejects.toMatchObject({
    code: 'INPUT_INVALID',
    message: expect.stringContaining('expected a PNG or JPEG image'),
  })
})

test('a model that does not end is stopped', async () => {
  const endless = target('endless.onnx', onnxModel(endlessLoop))
  await expect(tryModel(endless, { inputs: [], dims: {} }, 2000)).rejects.toMatchObject({
    code: 'INFERENCE_FAILED',
    expected: 'an inference within 2 s',
    hint: expect.stringContaining('a Loop that does not end'),
  })
})

describe.skipIf(process.platform === 'win32')('a process that the system kills', () => {
  const root = tempFolder()
  let view: StartedView | undefined
  beforeAll(() => writeFileSync(join(root, 'double.onnx'), affineModel()))
  afterEach(() => view?.end())

  const killing = async (module: string): Promise<(request: string, init?: RequestInit) => Promise<unknown>> => {
    const hook = pathToFileURL(join(import.meta.dirname, '../support/kill-child.mjs')).href
    const started = await startView([root, '--root', root], {
      ...process.env,
      NODE_OPTIONS: `--import ${hook}`,
      KILLED: module,
    })
    view = started
    return async (request, init) => (await fetch(`${started.url}api/${request}`, init)).json()
  }
  const run = { method: 'POST', body: JSON.stringify({ inputs: [{ name: 'x', kind: 'random', seed: 1 }], dims: {} }) }

  test('while it runs a model is an error with a hint, and the page goes on', async () => {
    const ask = await killing('try-child.js')
    expect(await ask('run?target=double.onnx', run)).toMatchObject({
      error: expect.stringMatching(
        /^double: the running process was killed by SIGKILL before it finished\. The system/,
      ),
      hint: expect.stringContaining('free some memory'),
    })
    expect(await ask('overview')).toMatchObject({ models: [{ id: 'double.onnx' }] })
  })

  test('while it measures nodes is an error with a hint, and the page goes on', async () => {
    const ask = await killing('profile-child.js')
    expect(await ask('run?target=double.onnx', run)).toMatchObject({ outputs: [{ name: 'y' }] })
    const [engine] = (await ask('engines')) as EngineView[]
    expect(await ask(`profile?engine=${encodeURIComponent(engine?.id ?? '')}`, { method: 'POST' })).toMatchObject({
      error: expect.stringMatching(/^double: the profiling process was killed by SIGKILL before it finished\. The sys/),
      hint: expect.stringContaining('free some memory'),
    })
    expect(await ask('run?target=double.onnx', run)).toMatchObject({ outputs: [{ name: 'y' }] })
  })
})
