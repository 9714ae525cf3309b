import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { batchingOf } from '../../plugin/export/batching.ts'
import { tritonConfig, type TritonModel } from '../../plugin/export/triton-config.ts'
import type { DType } from '../../runtime/dtype.ts'
import type { Binding, Bindings, Dim } from '../../runtime/manifest.ts'
import { datatypes } from '../../runtime/remote/datatypes.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel } from '../support/models.ts'
import { orSkip, pythonWith, repository } from '../support/python.ts'

const run = promisify(execFile)
const folder = tempFolder()
const python = await orSkip("NVIDIA's descriptor of config.pbtxt", () =>
  pythonWith(join(repository, 'test', 'export', 'requirements.txt')),
)

/** What NVIDIA's own descriptor reads in a config; rejects with its complaint. */
async function parsed(text: string): Promise<Record<string, unknown>> {
  const file = join(folder, 'config.pbtxt')
  writeFileSync(file, text)
  const { stdout } = await run(python ?? '', [join(repository, 'test', 'export', 'parse.py'), file])
  return (JSON.parse(stdout) as Record<string, unknown>[])[0] ?? {}
}

function tensor(name: string, dims: readonly Dim[] | null, dtype: DType = 'float32'): Binding {
  return { name, dtype, dims }
}

function model(bindings: Bindings, change: Partial<TritonModel> = {}): TritonModel {
  return { name: 'pose', backend: 'onnxruntime', bindings, maxBatchSize: 0, instances: 1, gpu: false, ...change }
}

const batched: Bindings = {
  inputs: [tensor('image', ['batch', 3, 'h', 'w']), tensor('scale', ['batch'])],
  outputs: [tensor('y', ['batch', 17])],
}

describe('max_batch_size', () => {
  const cases: readonly (readonly [string, Bindings, number | undefined, number])[] = [
    ['a named batch everywhere', batched, undefined, 8],
    ['a wish', batched, 32, 32],
    ['batching turned off', batched, 0, 0],
    ['a static dim 0', { ...batched, outputs: [tensor('y', [1, 17])] }, undefined, 0],
    ['a scalar', { ...batched, inputs: [...batched.inputs, tensor('s', [])] }, undefined, 0],
    ['an unknown rank', { ...batched, outputs: [tensor('y', null)] }, undefined, 0],
    ['another name of dim 0', { ...batched, outputs: [tensor('y', ['boxes', 17])] }, undefined, 0],
    ['a dim 0 without a name', { ...batched, outputs: [tensor('y', [null, 17])] }, undefined, 0],
    ['a wish for dims without a name', { ...batched, outputs: [tensor('y', [null, 17])] }, 4, 4],
  ]
  test.each(cases)('follows from %s', (_, bindings, wanted, expected) => {
    expect(batchingOf('pose', bindings, wanted).maxBatchSize).toBe(expected)
  })

  test('that the model cannot have is refused by the name of the tensor', () => {
    const bindings = { ...batched, outputs: [tensor('y', [1, 17])] }
    expect(() => batchingOf('pose', bindings, 4)).toThrow(/"y" with dims \[1,17\]/)
  })
})

describe.skipIf(!python)("a config.pbtxt, read by NVIDIA's descriptor,", () => {
  test('leaves the batch out of the dims and batches requests when max_batch_size is set', async () => {
    expect(await parsed(tritonConfig(model(batched, { maxBatchSize: 8, threads: 2 })))).toEqual({
      name: 'pose',
      backend: 'onnxruntime',
      max_batch_size: 8,
      input: [
        { name: 'image', data_type: 'TYPE_FP32', dims: ['3', '-1', '-1'] },
        { name: 'scale', data_type: 'TYPE_FP32', dims: ['1'], reshape: {} },
      ],
      output: [{ name: 'y', data_type: 'TYPE_FP32', dims: ['17'] }],
      instance_group: [{ count: 1, kind: 'KIND_CPU' }],
      dynamic_batching: { max_queue_delay_microseconds: '100' },
      version_policy: { latest: { num_versions: 1 } },
      parameters: { intra_op_thread_count: { string_value: '2' } },
    })
  })

  test('has full dims, no batching and a warm-up without max_batch_size', async () => {
    const bindings = { inputs: [tensor('x', [1, 3]), tensor('n', [], 'int64')], outputs: [tensor('y', [null])] }
    expect(await parsed(tritonConfig(model(bindings, { backend: 'tensorrt', gpu: true, instances: 2 })))).toEqual({
      name: 'pose',
      backend: 'tensorrt',
      input: [
        { name: 'x', data_type: 'TYPE_FP32', dims: ['1', '3'] },
        { name: 'n', data_type: 'TYPE_INT64', dims: ['1'], reshape: {} },
      ],
      output: [{ name: 'y', data_type: 'TYPE_FP32', dims: ['-1'] }],
      instance_group: [{ count: 2, kind: 'KIND_GPU' }],
      version_policy: { latest: { num_versions: 1 } },
      model_warmup: [
        {
          name: 'zeros',
          inputs: {
            x: { data_type: 'TYPE_FP32', dims: ['1', '3'], zero_data: true },
            n: { data_type: 'TYPE_INT64', dims: ['1'], zero_data: true },
          },
        },
      ],
    })
  })

  test('has the data type of every dtype, and names with quotes', async () => {
    const inputs = (Object.keys(datatypes) as DType[]).map((dtype) => tensor(`"${dtype}\\`, [1], dtype))
    const config = await parsed(tritonConfig(model({ inputs, outputs: [] })))
    const expected = inputs.map(({ name, dtype }) => {
      const type = datatypes[dtype].name
      return { name, data_type: `TYPE_${type === 'BYTES' ? 'STRING' : type}`, dims: ['1'] }
    })
    expect(config['input']).toEqual(expected)
  })

  test('with a misspelt field is refused, which shows that the descriptor reads it', async () => {
    await expect(parsed('max_batch: 1')).rejects.toThrow(/max_batch/)
  })
})

describe('unplugin-onnx export', () => {
  const cli = join(repository, 'dist', 'plugin', 'cli.js')
  const file = join(folder, 'double.onnx')
  writeFileSync(
    file,
    onnxModel({
      inputs: { x: 'float32[n,64]' },
      outputs: { y: 'float32[n,64]' },
      nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
      initializers: { w: { dtype: 'float32', dims: [64], data: Array.from({ length: 64 }, (_, index) => index) } },
    }),
  )
  const exported = async (...args: readonly string[]) => {
    const { stdout } = await run(process.execPath, [cli, 'export', file, '--root', folder, ...args])
    return stdout.trim().split('\n')
  }

  test('--triton writes a model repository', async () => {
    const into = join(folder, 'triton')
    const [onnx] = await exported('--triton', into, '--model-version', '3')
    expect(onnx).toBe(join(into, 'double', '3', 'model.onnx'))
    expect(files(into)).toEqual([
      'double',
      'double/3',
      'double/3/model.onnx',
      'double/README.md',
      'double/config.pbtxt',
    ])
    expect(readFileSync(join(into, 'double', 'config.pbtxt'), 'utf8')).toContain('max_batch_size: 8')
  })

  test('--backend tensorrt leaves the plan to the container, and names the command', async () => {
    const into = join(folder, 'tensorrt')
    await exported('--triton', into, '--backend', 'tensorrt', '--min', 'x:1x64', '--opt', 'x:4x64', '--max', 'x:8x64')
    expect(files(into)).toEqual([
      'double',
      'double/1',
      'double/README.md',
      'double/config.pbtxt',
      'double/source',
      'double/source/model.onnx',
    ])
    expect(readFileSync(join(into, 'double', 'README.md'), 'utf8')).toContain(
      '--minShapes=x:1x64 --optShapes=x:4x64 --maxShapes=x:8x64',
    )
  })

  test.each(['fp16', 'bf16', 'int8-weights'])('compares engine=%s with the fp32 model', async (engine) => {
    const into = join(folder, `compared-${engine}`)
    const args = ['export', file, '--root', folder, '--triton', into, '--engine', engine]
    const { stderr } = await run(process.execPath, [cli, ...args])
    expect(stderr).toMatch(new RegExp(`double  ${engine}  for onnxruntime: max abs [\\d.e+-]+, cosine [\\d.]+`))
  })

  test('refuses a precision that is too far, and leaves the model that was there', async () => {
    const root = join(folder, 'strict')
    mkdirSync(root)
    writeFileSync(join(root, 'package.json'), '{}')
    writeFileSync(join(root, 'unplugin-onnx.config.json'), '{ "verify": { "maxError": 0 } }')
    const model = join(root, 'thirds.onnx')
    const data = Array.from({ length: 4096 }, (_, index) => index / 3)
    writeFileSync(
      model,
      onnxModel({
        inputs: { x: 'float32[n,64]' },
        outputs: { y: 'float32[n,64]' },
        nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
        initializers: { w: { dtype: 'float32', dims: [64, 64], data } },
      }),
    )
    const into = join(folder, 'refused')
    const args = [cli, 'export', model, '--root', root, '--triton', into, '--engine']
    await run(process.execPath, [...args, 'fp32'])
    const before = files(into)
    const bytes = readFileSync(join(into, 'thirds', '1', 'model.onnx'))
    await expect(run(process.execPath, [...args, 'fp16'])).rejects.toMatchObject({
      stderr: expect.stringContaining('engine=fp16 on onnxruntime differs from the fp32 model'),
    })
    expect(files(into)).toEqual(before)
    expect(readFileSync(join(into, 'thirds', '1', 'model.onnx'))).toEqual(bytes)
  })

  test.each([
    ['--kserve', ['double', 'double/model.onnx', 'onnx_types.py', 'requirements.txt', 'serve.py']],
    [
      '--mlserver',
      [
        'double',
        'double/model-settings.json',
        'double/model.onnx',
        'double/onnx_model.py',
        'double/onnx_types.py',
        'double/requirements.txt',
      ],
    ],
  ])('%s writes the model and the lines that serve it', async (flag, expected) => {
    const into = join(folder, flag.slice(2))
    await exported(flag, into)
    expect(files(into)).toEqual(expected)
  })

  test.each([
    [[], /Give one of --triton, --kserve and --mlserver/],
    [['--triton', 'a', '--kserve', 'b'], /Give one of/],
    [['--triton', 'a', '--name', '../evil'], /letters, digits/],
    [['--triton', 'a', '--max-batch', 'x'], /--max-batch/],
    [['--triton', 'a', '--backend', 'openvino'], /--backend/],
  ])('with %j is refused', async (args, text) => {
    await expect(exported(...args)).rejects.toThrow(text)
  })
})

function files(into: string): readonly string[] {
  return readdirSync(into, { recursive: true, encoding: 'utf8' }).sort()
}
