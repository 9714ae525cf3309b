import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readModel } from '../../plugin/onnx/model.ts'
import { selectBindings } from '../../plugin/options/select-bindings.ts'
import { tempFolder } from '../support/helpers.ts'
import { encode, onnxModel, type ModelSpec } from '../support/models.ts'

const folder = tempFolder()
const dims = 'float32[1,4]'

function write(spec: Partial<ModelSpec> & Pick<ModelSpec, 'nodes'>): string {
  const file = join(folder, 'model.onnx')
  writeFileSync(file, onnxModel({ inputs: { x: dims }, outputs: { y: dims }, ...spec }))
  return file
}

const flag = (value: number) => ({ dtype: 'bool', dims: [], data: Uint8Array.of(value) }) as const
const ratio = { dtype: 'float32', dims: [], data: [0.5] } as const
const dropout = { op: 'Dropout', inputs: ['x', 'ratio', 'mode'], outputs: ['y'], name: 'drop' } as const

describe('a model that was exported for training names its nodes', () => {
  test.each<[title: string, spec: Parameters<typeof write>[0], training: readonly string[] | undefined]>([
    [
      'a BatchNormalization of each batch',
      {
        nodes: [
          {
            op: 'BatchNormalization',
            inputs: ['x', 's', 's', 's', 's'],
            outputs: ['y', 'm', 'v'],
            attributes: { training_mode: 1 },
          },
        ],
      },
      ['BatchNormalization "y"'],
    ],
    ['a Dropout that drops', { nodes: [dropout], initializers: { ratio, mode: flag(1) } }, ['Dropout "drop"']],
    [
      'a Dropout whose mode is a constant',
      {
        nodes: [{ op: 'Constant', inputs: [], outputs: ['mode'], attributes: { value: { tensor: flag(1) } } }, dropout],
        initializers: { ratio },
      },
      ['Dropout "drop"'],
    ],
    ['not a Dropout of inference', { nodes: [dropout], initializers: { ratio, mode: flag(0) } }, undefined],
    ['not a Dropout without a mode', { nodes: [{ ...dropout, inputs: ['x'] }] }, undefined],
  ])('%s', async (_, spec, training) => {
    expect((await readModel(write(spec))).training).toEqual(training)
  })
})

describe('a model that is quantized already', () => {
  test.each<[title: string, op: string, rounds: string | undefined]>([
    ['names the operator that rounds', 'QuantizeLinear', 'QuantizeLinear'],
    ['names an operator of ONNX Runtime', 'QLinearAdd', 'QLinearAdd'],
    ['names a product of integers', 'MatMulInteger', 'MatMulInteger'],
    ['names nothing if only its weights are integers', 'DequantizeLinear', undefined],
    ['names nothing for weights of 4 bits', 'MatMulNBits', undefined],
  ])('%s', async (_, op, rounds) => {
    expect((await readModel(write({ nodes: [{ op, inputs: ['x'], outputs: ['y'] }] }))).rounds).toBe(rounds)
  })
})

function modelWithData(location: string): string {
  return write({
    nodes: [{ op: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
    initializers: { w: { dtype: 'float32', dims: [1], data: [], external: { location, length: 4 } } },
  })
}

describe('external data with backslashes', () => {
  test.skipIf(process.platform === 'win32')('that is there with slashes is said', async () => {
    mkdirSync(join(folder, 'data'), { recursive: true })
    writeFileSync(join(folder, 'data', 'w.bin'), new Uint8Array(4))
    await expect(readModel(modelWithData('data\\w.bin'))).rejects.toMatchObject({
      code: 'EXTERNAL_DATA',
      hint: expect.stringMatching(/^"data\/w\.bin" is there: .*Windows/),
    })
  })

  test.skipIf(process.platform === 'win32').each(['no\\w.bin', '..\\..\\etc\\passwd'])(
    '%s that is nowhere in the folder gets the usual hint',
    async (location) => {
      await expect(readModel(modelWithData(location))).rejects.toMatchObject({
        code: 'EXTERNAL_DATA',
        hint: expect.stringContaining('Keep the data file in the folder of the model'),
      })
    },
  )
})

test.each(['sequenceType', 'mapType'])('an output that is a %s names the cure of scikit-learn', async (field) => {
  const file = join(folder, 'zipmap.onnx')
  const output = { name: 'probabilities', type: { [field]: new Uint8Array() } }
  writeFileSync(
    file,
    encode('ModelProto', { irVersion: 8, opsetImport: [{ domain: '', version: 17 }], graph: { output: [output] } }),
  )
  const model = await readModel(file)
  expect(() => selectBindings(model, { outputs: [], optionalInputs: [] }, 'zipmap')).toThrow(
    /output "probabilities".*option 'outputs'.*'zipmap': False/,
  )
})
