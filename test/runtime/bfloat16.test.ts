import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile, writeModel } from 'unplugin-onnx'
import { loadModel } from 'unplugin-onnx/runtime'
import { expect, test } from 'vitest'
import { missingNative } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel } from '../support/models.ts'

const nodes = [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }]

test('a model with bfloat16 inputs is refused once, with the cure, where it would run in a worker', async () => {
  const folder = tempFolder()
  const file = join(folder, 'half.onnx')
  writeFileSync(file, onnxModel({ inputs: { x: 'bfloat16[n]' }, outputs: { y: 'bfloat16[n]' }, nodes }))
  const compiled = await compile(file, { backends: ['onnxruntime'], root: folder })
  const manifest = await writeModel(compiled, join(folder, 'engines'))
  const failure = await loadModel(manifest, { session: 'worker' }).then(
    (model) => model.load().catch((error: unknown) => error),
    (error: unknown) => error,
  )
  expect(failure).toMatchObject({
    code: 'MODEL_UNSUPPORTED',
    message: expect.stringMatching(
      /^model "half", input "x": expected a native session .*no tensors of bfloat16.*doctor/,
    ),
  })
  expect((failure as Error).message.match(/bfloat16/g)).toHaveLength(1)
})

test.skipIf(missingNative)(
  'a model with bfloat16 inputs and outputs is compiled, and runs in a native session',
  async () => {
    const folder = tempFolder()
    const file = join(folder, 'half.onnx')
    writeFileSync(file, onnxModel({ inputs: { x: 'bfloat16[n]' }, outputs: { y: 'bfloat16[n]' }, nodes }))
    const compiled = await compile(file, { backends: ['onnxruntime'], root: folder })
    const manifest = await writeModel(compiled, join(folder, 'engines'))
    await using model = await loadModel(manifest, { session: 'native' })
    // The bits of 1 and of -2.
    const data = Uint16Array.of(0x3f80, 0xc000)
    expect((await model.infer({ x: { data, dims: [2] } }))['y']).toEqual({ dtype: 'bfloat16', dims: [2], data })
    expect(model.inferSync?.({ x: { data, dims: [2] } })['y']?.data).toEqual(data)
  },
)
