import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createModel, type LoadOptions, type ModelManifest } from 'unplugin-onnx/runtime'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { missingNative, ortManifest } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'
import type { ModelSpec } from '../support/models.ts'

const folder = tempFolder()

const bindings = { inputs: { x: 'float32[n,2]', row: 'int64[1]' }, outputs: { y: 'float32[?,2]' } } as const

/** y = 2 * x[row], or an error of the library for a row that x does not have. */
const right: ModelSpec = {
  ...bindings,
  nodes: [
    { op: 'Gather', inputs: ['x', 'row'], outputs: ['r'], name: 'pick' },
    { op: 'Add', inputs: ['r', 'r'], outputs: ['y'] },
  ],
}

/** Opens, and fails at every call, as the engine of a library that cannot give an output does. */
const broken: ModelSpec = {
  ...bindings,
  nodes: [
    { op: 'Gather', inputs: ['x', 'row'], outputs: ['r'] },
    { op: 'Reshape', inputs: ['r', 'dims'], outputs: ['y'], name: 'impossible' },
  ],
  initializers: { dims: { dtype: 'int64', dims: [2], data: [7, 11] } },
}

let engines: Readonly<Record<'right' | 'broken', ModelManifest>>
beforeAll(async () => {
  engines = {
    right: await ortManifest(folder, 'right', right),
    broken: await ortManifest(folder, 'broken', broken),
  }
})

/** A manifest of several engines; their precisions show which one runs. */
function manifestOf(...names: readonly ('right' | 'broken')[]): ModelManifest {
  const precisions = ['fp16', 'fp32', 'int8'] as const
  const variants = names.map((name, index) => ({ ...engines[name].variants[0]!, engine: precisions[index]! }))
  return { ...engines.right, variants: variants as ModelManifest['variants'] }
}

const inputs = (value: number, row = 0n) => ({
  x: { data: Float32Array.of(value, value + 0.5), dims: [1, 2] },
  row: BigInt64Array.of(row),
})
const doubled = (value: number) => ({
  y: { dtype: 'float32', dims: [1, 2], data: Float32Array.of(2 * value, 2 * value + 1) },
})
const badRow = (value: number) => inputs(value, 5n)

const warnings: string[] = []
const keep = (warning: Error) => {
  if (warning.name === 'OnnxEngineWarning') warnings.push(warning.message)
}
beforeEach(() => {
  warnings.length = 0
  process.on('warning', keep)
})
afterEach(() => void process.off('warning', keep))

// Warnings are emitted in the next turn.
const printed = async () => {
  await new Promise(setImmediate)
  return warnings
}

const sessions = [
  { session: 'native', missing: missingNative },
  { session: 'worker', missing: undefined },
] as const

describe.each(sessions)('the first call of a model ($session)', ({ session, missing }) => {
  const open = (manifest: ModelManifest, options: LoadOptions = {}) => createModel(manifest, { session, ...options })

  test.skipIf(missing)('moves the model to the next variant when the library fails, with one warning', async () => {
    await using model = open(manifestOf('broken', 'right'))
    await model.load()
    expect(model.variant).toMatchObject({ engine: 'fp16', skipped: [] })
    expect(await model.infer(inputs(3))).toEqual(doubled(3))
    expect(model.variant).toMatchObject({
      engine: 'fp32',
      skipped: [{ backend: 'onnxruntime', engine: 'fp16', reason: expect.stringContaining('impossible') }],
    })
    expect(await model.infer(inputs(4))).toEqual(doubled(4))
    expect(model.inferSync?.(inputs(5))).toEqual(session === 'native' ? doubled(5) : undefined)
    expect(await printed()).toEqual([
      expect.stringMatching(
        /^model "right": onnxruntime fp16 failed on its first call, so onnxruntime fp32 runs instead: .*impossible/s,
      ),
    ])
  })

  test.skipIf(missing)('goes on to the variant after the next, and warns once', async () => {
    await using model = open(manifestOf('broken', 'broken', 'right'))
    expect(await model.infer(inputs(3))).toEqual(doubled(3))
    expect(model.variant).toMatchObject({ engine: 'int8', skipped: [{ engine: 'fp16' }, { engine: 'fp32' }] })
    expect(await printed()).toHaveLength(1)
  })

  test.skipIf(missing).each([false, true])(
    'of many callers gives each its own numbers, and their arrays are free (transfer: %s)',
    async (transfer) => {
      await using model = open(manifestOf('broken', 'right'))
      const results = await Promise.all(
        Array.from({ length: 24 }, (_, value) => {
          const call = inputs(value)
          const result = model.infer(call, { transfer })
          if (!transfer) call.x.data.fill(NaN)
          return result
        }),
      )
      expect(results).toEqual(results.map((_, value) => doubled(value)))
      expect(model.variant?.engine).toBe('fp32')
      expect(await printed()).toHaveLength(1)
    },
  )

  test.skipIf(missing)('with inputs that no variant runs rejects with the last error, and moves nothing', async () => {
    await using model = open(manifestOf('right', 'right'))
    const failed = Promise.all([model.infer(badRow(1)), model.infer(badRow(2))])
    await expect(failed).rejects.toMatchObject({ code: 'INFERENCE_FAILED', message: expect.stringContaining('pick') })
    expect(await model.infer(inputs(3))).toEqual(doubled(3))
    expect(model.variant).toMatchObject({ engine: 'fp16', skipped: [] })
    expect(await printed()).toEqual([])
  })

  test.skipIf(missing)('that is bad does not hide that the library fails', async () => {
    await using model = open(manifestOf('broken', 'right'))
    const [bad, good] = await Promise.allSettled([model.infer(badRow(1)), model.infer(inputs(2))])
    expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'INFERENCE_FAILED' } })
    expect(good).toEqual({ status: 'fulfilled', value: doubled(2) })
    expect(model.variant?.engine).toBe('fp32')
  })

  test.skipIf(missing)('decides: a later failure is the error of its caller', async () => {
    await using model = open(manifestOf('right', 'right'))
    await model.infer(inputs(3))
    await expect(model.infer(badRow(1))).rejects.toMatchObject({ code: 'INFERENCE_FAILED' })
    expect(model.variant?.engine).toBe('fp16')
    expect(await printed()).toEqual([])
  })

  test.skipIf(missing)('of the only variant rejects with the error of the library', async () => {
    await using model = open(manifestOf('broken'))
    for (let call = 0; call < 2; call++)
      await expect(model.infer(inputs(3))).rejects.toMatchObject({
        code: 'INFERENCE_FAILED',
        message: expect.stringContaining('impossible'),
      })
  })

  test.skipIf(missing)('stays with the required backend', async () => {
    const [first, second] = manifestOf('broken', 'right').variants
    const variants = [first, { ...second, backend: 'tensorrt' }] as ModelManifest['variants']
    await using model = open({ ...engines.right, variants }, { require: 'onnxruntime' })
    await expect(model.infer(inputs(3))).rejects.toMatchObject({
      code: 'INFERENCE_FAILED',
      message: expect.stringContaining('impossible'),
    })
    expect(model.variant?.engine).toBe('fp16')
  })

  test.skipIf(missing)('that is refused or aborted moves nothing', async () => {
    await using model = open(manifestOf('broken', 'right'))
    await expect(model.infer({ x: Float32Array.of(1) } as never)).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    const controller = new AbortController()
    const running = model.infer(inputs(3), { signal: controller.signal })
    controller.abort()
    await expect(running).rejects.toMatchObject({ code: 'ABORTED' })
    expect(model.variant?.skipped ?? []).toEqual([])
    expect(await printed()).toEqual([])
  })

  test.skipIf(missing)('is finished by dispose()', async () => {
    const model = open(manifestOf('broken', 'right'))
    const order: string[] = []
    const running = [1, 2, 3].map(async (value) => {
      expect(await model.infer(inputs(value))).toEqual(doubled(value))
      order.push('result')
    })
    const disposal = model.dispose().then(() => order.push('disposed'))
    await expect(model.infer(inputs(3))).rejects.toMatchObject({ code: 'DISPOSED' })
    await Promise.all([...running, disposal])
    expect(order).toEqual(['result', 'result', 'result', 'disposed'])
    expect(model.variant).toBeUndefined()
  })

  test.skipIf(missing)('never reaches a next variant that was changed', async () => {
    const [first, second] = manifestOf('broken', 'right').variants
    const file = join(folder, `changed-${session}.ort`)
    writeFileSync(file, 'another engine')
    const variants = [first, { ...second, file }] as ModelManifest['variants']
    await using model = open({ ...engines.right, variants })
    await expect(model.infer(inputs(3))).rejects.toMatchObject({ code: 'ARTIFACT_INVALID' })
    expect(model.variant?.engine).toBe('fp16')
  })
})

describe.skipIf(missingNative)('inferSync', () => {
  test('throws the error of the library, and infer() still moves the model', async () => {
    await using model = await createModel(manifestOf('broken', 'right'), { session: 'native' }).load()
    expect(() => model.inferSync?.(inputs(1))).toThrow(expect.objectContaining({ code: 'INFERENCE_FAILED' }))
    expect(await model.infer(inputs(2))).toEqual(doubled(2))
    expect(model.inferSync?.(inputs(3))).toEqual(doubled(3))
  })

  test('decides, too', async () => {
    await using model = await createModel(manifestOf('right', 'right'), { session: 'native' }).load()
    expect(model.inferSync?.(inputs(3))).toEqual(doubled(3))
    await expect(model.infer(badRow(1))).rejects.toMatchObject({ code: 'INFERENCE_FAILED' })
    expect(model.variant?.engine).toBe('fp16')
  })
})
