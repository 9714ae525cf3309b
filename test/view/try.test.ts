import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { npyBytes } from '../../plugin/samples/npy.ts'
import type { TryResult } from '../../plugin/view/contract.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel, onnxModel } from '../support/models.ts'

// From dist, as its child process is.
const { tryModel } = (await import(
  new URL('../../dist/plugin/view/data/try-model.js', import.meta.url).href
)) as typeof import('../../plugin/view/data/try-model.ts')

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

const endlessLoop = {
  inputs: { x: 'float32[1]' },
  outputs: { y: 'float32[1]' },
  nodes: [
    {
      op: 'Loop',
      inputs: ['', 'always', 'x'],
      outputs: ['y'],
      attributes: {
        body: {
          graph: {
            name: 'body',
            inputs: { i: 'int64[]', before: 'bool[]', v: 'float32[1]' },
            outputs: { after: 'bool[]', w: 'float32[1]' },
            nodes: [
              { op: 'Identity', inputs: ['before'], outputs: ['after'] },
              { op: 'Sin', inputs: ['v'], outputs: ['w'] },
            ],
          },
        },
      },
    },
  ],
  initializers: { always: { dtype: 'bool', dims: [], data: Uint8Array.of(1) } },
} as const
