import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import { readModel } from '../plugin/onnx/model.ts'
import { OnnxEngineError } from '../runtime/errors.ts'
import { tempFolder } from './helpers.ts'
import { affineModel, type ModelSpec, onnxModel } from './models.ts'

const folder = tempFolder()
let files = 0

function saved(bytes: Uint8Array | string, name = `model${files++}.onnx`): string {
  const file = join(folder, name)
  writeFileSync(file, bytes)
  return file
}

async function failure(file: string): Promise<OnnxEngineError> {
  const error = await readModel(file).then(() => undefined, (reason: unknown) => reason)
  if (error instanceof OnnxEngineError) return error
  throw new Error('expected an OnnxEngineError', { cause: error })
}

const identity = (spec: Partial<ModelSpec>): Uint8Array =>
  onnxModel({ inputs: { x: 'float32[2]' }, outputs: { y: 'float32[2]' }, nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }], ...spec })

describe('what a model declares', () => {
  test('bindings keep the order of the graph, with static, named and unknown dims, unknown rank and scalars', async () => {
    const inputs = { image: 'float32[batch,3,?,0]', 'a b': 'int64', scalar: 'bool[]', '__proto__': 'string[-1]', 'quote"\nline': 'float16[1]' }
    const entries = Object.fromEntries(Object.entries({ ...inputs }))
    Object.defineProperty(entries, '__proto__', { value: 'string[-1]', enumerable: true })
    const { bindings } = await readModel(saved(identity({ inputs: entries, outputs: { y: 'float32[n]' } })))
    expect(bindings.inputs.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      { name: '__proto__', dtype: 'string', dims: [null] },
      { name: 'a b', dtype: 'int64', dims: null },
      { name: 'image', dtype: 'float32', dims: ['batch', 3, null, 0] },
      { name: 'quote"\nline', dtype: 'float16', dims: [1] },
      { name: 'scalar', dtype: 'bool', dims: [] },
    ])
    expect(bindings.inputs.map(({ name }) => name).slice(0, 3)).toEqual(['image', 'a b', 'scalar'])
    expect(bindings.outputs).toEqual([{ name: 'y', dtype: 'float32', dims: ['n'] }])
  })
})

describe('what is not a model', () => {
  test('each prefix of a model is the same model or a named error', async () => {
    const bytes = affineModel()
    const { bindings, initializers, opsets } = await readModel(saved(bytes))
    for (let length = 0; length < bytes.length; length++) {
      const file = saved(bytes.subarray(0, length), 'prefix.onnx')
      const outcome = await readModel(file).then(
        (model) => ({ bindings: model.bindings, initializers: model.initializers.length, opsets: model.opsets }),
        (error: unknown) => error,
      )
      expect(outcome).toSatisfy((value) => value instanceof OnnxEngineError || isDeepStrictEqual(value, { bindings, initializers: initializers.length, opsets }))
    }
  })

  test.each([
    ['a text file', 'hello\nworld\n', 'MODEL_INVALID', /a text file/],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n', 'MODEL_INVALID', /git lfs pull/],
    ['an empty file', '', 'MODEL_INVALID', /an empty file/],
  ])('%s', async (_, text, code, message) => {
    const error = await failure(saved(text))
    expect(error.code).toBe(code)
    expect(error.message).toMatch(message)
  })

  test('a folder, and no file at all', async () => {
    expect((await failure(folder)).message).toMatch(/received a folder/)
    expect((await failure(join(folder, 'absent.onnx'))).code).toBe('MODEL_NOT_FOUND')
  })
})
