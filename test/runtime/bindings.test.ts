import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createModel, loadModel, type Model, type ModelManifest } from 'unplugin-onnx/runtime'
import { beforeAll, describe, expect, test } from 'vitest'
import { modelType } from '../../plugin/types/declarations.ts'
import { ortManifest } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel, type ModelSpec } from '../support/models.ts'
import { build, missingOpenVino } from '../support/openvino-models.ts'

const folder = tempFolder()

describe('two dims of one name', () => {
  let manifest: ModelManifest
  const joined: ModelSpec = {
    inputs: { a: 'float32[n]', b: 'float32[n]' },
    outputs: { y: 'float32[?]' },
    nodes: [{ op: 'Concat', inputs: ['a', 'b'], outputs: ['y'], attributes: { axis: 0 } }],
  }
  const inputs = {
    a: { data: Float32Array.of(1, 2, 3), dims: [3] },
    b: { data: Float32Array.of(4), dims: [1] },
  }

  beforeAll(async () => {
    manifest = await ortManifest(folder, 'join', joined)
  })

  test('must be equal, and the error names the option that lets them differ', async () => {
    await using model = createModel(manifest)
    await expect(model.infer(inputs)).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message:
        'model "join", input "b": expected 3 at dim 0, because "n" is 3 in input "a", received 1. ' +
        `If the model uses one name for dims that may differ, set the option dims: 'loose' for it.`,
    })
  })

  test('may differ with the option dims: loose', async () => {
    const file = join(folder, 'join.json')
    writeFileSync(file, JSON.stringify(manifest))
    for (const open of [
      async () => createModel(manifest, { dims: 'loose' }),
      () => loadModel(file, { dims: 'loose' }),
    ]) {
      await using model = await open()
      expect((await model.infer(inputs))['y']?.data).toEqual(Float32Array.of(1, 2, 3, 4))
    }
  })

  const backends = missingOpenVino() ? (['onnxruntime'] as const) : (['onnxruntime', 'openvino'] as const)
  test.each(
    backends.flatMap((backend) => [[backend, {}] as const, [backend, { shapes: { a: [3], b: [1] } }] as const]),
  )('may differ in an engine of %s that is compiled with dims: loose and %o', async (backend, options) => {
    const file = join(folder, 'join.onnx')
    writeFileSync(file, onnxModel(joined))
    const built = await build(folder, file, { backends: [backend], dims: 'loose', ...options })
    await using model = createModel(built.manifest)
    expect((await model.infer(inputs))['y']?.data).toEqual(Float32Array.of(1, 2, 3, 4))
  })

  test('cannot have another rule', () => {
    expect(() => createModel(manifest, { dims: 'strict' } as object)).toThrow(
      `option "dims": expected 'named' or 'loose', received strict`,
    )
  })
})

describe('an optional input', () => {
  let manifest: ModelManifest
  const x = Float32Array.of(1, 2)

  beforeAll(async () => {
    const made = await ortManifest(folder, 'shift', {
      inputs: { x: 'float32[2]', bias: 'float32[2]' },
      outputs: { y: 'float32[2]' },
      nodes: [{ op: 'Add', inputs: ['x', 'bias'], outputs: ['y'] }],
      initializers: { bias: { dtype: 'float32', dims: [2], data: [10, 20] } },
    })
    const inputs = made.bindings.inputs.map((input) => ({ ...input, ...(input.name === 'bias' && { optional: true }) }))
    manifest = { ...made, bindings: { ...made.bindings, inputs } } as ModelManifest
  })

  test('that is left out has the default of the model', async () => {
    await using model = createModel(manifest)
    expect((await model.infer({ x }))['y']?.data).toEqual(Float32Array.of(11, 22))
    const { y } = await model.infer({ x, bias: undefined } as never)
    expect(y?.data).toEqual(Float32Array.of(11, 22))
  })

  // onnxruntime-node passes no values for initializers to ONNX Runtime.
  test.each(['not loaded yet', 'loaded'])(
    'is refused rather than ignored by an engine without it (%s)',
    async (state) => {
      await using model = createModel(manifest)
      if (state === 'loaded') await model.load()
      await expect(model.infer({ x, bias: Float32Array.of(1, 1) })).rejects.toMatchObject({
        code: 'INPUT_INVALID',
        message:
          'model "shift", input "bias": expected nothing, because this engine has the default compiled in, ' +
          'received a value. Leave the input out.',
      })
    },
  )

  test('may be left out in the types of the model, and no other input', async () => {
    await using model = createModel(manifest) as Model<{ x: 'float32[2]'; bias?: 'float32[2]' }, { y: 'float32[2]' }>
    const { y } = await model.infer({ x })
    expect(y.data).toEqual(Float32Array.of(11, 22))
    // @ts-expect-error The input x has no default.
    await expect(model.infer({ bias: x })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    // @ts-expect-error The input bias has a dtype like any other.
    await expect(model.infer({ x, bias: new Int32Array(2) })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    expect(modelType(manifest.bindings)).toBe(
      'Model<{\n  x: "float32[2]"\n  bias?: "float32[2]"\n}, {\n  y: "float32[2]"\n}>',
    )
  })

  test('that is given is checked like any other', async () => {
    await using model = createModel(manifest)
    await expect(model.infer({ x, bias: Float32Array.of(1) })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: 'model "shift", input "bias": expected 2 elements for dims [2], received 1',
    })
    await expect(model.infer({ bias: x })).rejects.toMatchObject({
      message: 'model "shift", input "x": expected float32[2], received nothing',
    })
  })
})
