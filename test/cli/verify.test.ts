import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { parseNpy } from '../../plugin/samples/npy.ts'
import { unzipNpz } from '../../plugin/samples/npz.ts'
import { tempFolder } from '../support/helpers.ts'
import { type ModelSpec, onnxModel } from '../support/models.ts'
import { computesBf16, missingOpenVino } from '../support/openvino-models.ts'
import { orSkip, pythonWith, repository } from '../support/python.ts'
import { npy, uniform } from '../support/samples.ts'

const bin = fileURLToPath(new URL('../../dist/plugin/cli.js', import.meta.url))
const folder = tempFolder()
const withoutOpenVino = missingOpenVino()

interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function verify(model: string, ...more: readonly string[]): Promise<Finished> {
  const args = [bin, 'verify', model, '--root', folder, '--cache-dir', 'cache', ...more]
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      const failure = error ? -1 : 0
      resolve({ code: typeof error?.code === 'number' ? error.code : failure, stdout, stderr })
    })
  })
}

const onOnnxruntime = ['--backend', 'onnxruntime'] as const

function write(name: string, spec: ModelSpec): string {
  const file = join(folder, `${name}.onnx`)
  writeFileSync(file, onnxModel({ irVersion: 10, ...spec }))
  return file
}

/** One product, in which rounded weights show. */
const product: ModelSpec = {
  inputs: { x: 'float32[1,64]' },
  outputs: { y: 'float32[1,64]' },
  nodes: [{ op: 'MatMul', name: 'product', inputs: ['x', 'w'], outputs: ['y'] }],
  initializers: { w: { dtype: 'float32', dims: [64, 64], data: [...uniform(64 * 64, 3, 1)] } },
}

/** OpenVINO averages the edges of the second node wrong. */
const pooled: ModelSpec = {
  opset: 19,
  inputs: { x: 'float32[1,2,8,8]' },
  outputs: { y: 'float32[1,2,5,5]' },
  nodes: [
    { op: 'Relu', name: 'rectify', inputs: ['x'], outputs: ['r'] },
    {
      op: 'AveragePool',
      name: 'pool',
      inputs: ['r'],
      outputs: ['p'],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], ceil_mode: 1, count_include_pad: 1 },
    },
    { op: 'Sqrt', name: 'root', inputs: ['p'], outputs: ['y'] },
  ],
}

describe('verify without a second engine', () => {
  test('engines in fp32 are compared with the model, and the text says what was tried', async () => {
    const { code, stdout } = await verify(write('product', product), ...onOnnxruntime)
    expect(code).toBe(0)
    const lines = stdout.split('\n')
    expect(lines[0]).toMatch(
      /^product {2}fp32 {2}onnxruntime( \(portable\))?: max abs .* compared with the fp32 model$/,
    )
    expect(lines).toContainEqual(expect.stringMatching(/^ {2}y {2}max abs \d\.\de[+-]\d+ of \d/))
    expect(lines).toContain('  tried unit: x [1, 64]')
    expect(stdout).not.toContain('never varied')
  })

  test('an engine that is too far exits with 2, with the nodes to blame as text and as JSON', async () => {
    const file = write('product', product)
    const text = await verify(file, ...onOnnxruntime, '--engine', 'fp16', '--atol', '0')
    expect(text).toMatchObject({
      code: 2,
      stdout: expect.stringMatching(/beyond atol and rtol[^]*w \(read by MatMul product\)/),
    })
    const json = await verify(file, ...onOnnxruntime, '--engine', 'fp16', '--atol', '0', '--json')
    expect(json.code).toBe(2)
    expect(JSON.parse(json.stdout)).toMatchObject([
      {
        backend: 'onnxruntime',
        engine: 'fp16',
        against: 'the fp32 model',
        lowering: { lowered: 1 },
        verification: { failures: [expect.stringContaining('output "y" has')], blame: [{ name: 'w' }] },
      },
    ])
  })

  test('samples calibrate int8 and are what is compared', async () => {
    writeFileSync(join(folder, 'shell.npy'), npy([1, 64], uniform(64, 1, 1)))
    const { code, stdout } = await verify(
      write('product', product),
      ...onOnnxruntime,
      '--engine=int8',
      '--samples=shell.npy',
      '--json',
    )
    expect(code).toBe(0)
    const [first] = JSON.parse(stdout) as unknown[]
    expect(first).toMatchObject({ engine: 'int8', verification: { inputs: '1 sample', failures: [], tried: [] } })
  })

  test('nothing to compare exits with 1 and the reason', async () => {
    const roots: ModelSpec = {
      inputs: { x: 'float32[1,4]' },
      outputs: { y: 'float32[1,4]' },
      nodes: [
        { op: 'Mul', inputs: ['x', 'x'], outputs: ['square'] },
        { op: 'Add', inputs: ['square', 'one'], outputs: ['positive'] },
        { op: 'Neg', inputs: ['positive'], outputs: ['negative'] },
        { op: 'Sqrt', inputs: ['negative'], outputs: ['y'] },
      ],
      initializers: { one: { dtype: 'float32', dims: [], data: [1] } },
    }
    expect(await verify(write('roots', roots), ...onOnnxruntime, '--all-nodes')).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('not verified: the fp32 model gives no finite number on random inputs'),
    })
  })

  test('inputs and outputs that never varied are named, also in the line of a build', async () => {
    const constant: ModelSpec = {
      inputs: { x: 'float32[1,4]', mask: 'bool[1]' },
      outputs: { y: 'float32[1,4]', z: 'float32[1,4]' },
      nodes: [
        { op: 'Neg', inputs: ['x'], outputs: ['y'] },
        { op: 'Mul', inputs: ['x', 'zero'], outputs: ['zeros'] },
        { op: 'Add', inputs: ['zeros', 'table'], outputs: ['z'] },
        { op: 'Not', inputs: ['mask'], outputs: ['unused'] },
      ],
      initializers: {
        zero: { dtype: 'float32', dims: [], data: [0] },
        table: { dtype: 'float32', dims: [4], data: [1, 2, 3, 4] },
      },
    }
    writeFileSync(join(folder, 'on.mjs'), samplesOf('{ x: Float32Array.of(i, 2, 3, 4), mask: Uint8Array.of(1) }'))
    const file = write('constant', constant)
    const { stdout } = await verify(file, ...onOnnxruntime, '--samples=on.mjs')
    expect(stdout).toContain('  never varied: input "mask", output "z"\n')
    expect(stdout).toMatch(/^constant {2}fp32 .*, output "z" never varied, compared with the fp32 model$/m)
    const json = JSON.parse((await verify(file, ...onOnnxruntime, '--json')).stdout) as [{ verification: object }]
    expect(json[0].verification).toMatchObject({
      tried: expect.arrayContaining(['unit: x [1, 4], mask [1]']),
      unvaried: { inputs: [], outputs: ['z'] },
    })
  })
})

/** A module of two samples; `i` counts them. */
function samplesOf(text: string): string {
  return `export default [0, 1].map((i) => (${text}))\n`
}

describe('verify --against', () => {
  test('two precisions of one backend are compared with the limits of the coarser one', async () => {
    const { code, stdout } = await verify(
      write('product', product),
      ...onOnnxruntime,
      '--engine=fp16',
      '--against=onnxruntime:int8-weights',
      '--json',
    )
    expect(code).toBe(0)
    const [{ against, verification }] = JSON.parse(stdout) as [{ against: string; verification: { outputs: [object] } }]
    expect(against).toBe('onnxruntime:int8-weights')
    expect(verification).toMatchObject({ failures: [], outputs: [{ name: 'y' }] })
    const { maxAbs } = verification.outputs[0] as { maxAbs: number }
    expect(maxAbs).toBeGreaterThan(1e-3)
  })

  test.each([
    [['--engine', 'fp32', '--against', 'tensorrt'], 'engines of tensorrt are not run at build time'],
    [['--against', 'foo'], `--against: expected one of onnxruntime, openvino, received 'foo'`],
    [['--against', 'onnxruntime:fp17'], `received 'fp17'. Did you mean 'fp16'?`],
    [['--against', 'a:b:c'], `Write it as 'onnxruntime:fp16'`],
    [['--against', 'onnxruntime:int8'], 'engine=int8: expected calibration samples'],
    [['--engine', 'fp16', '--against', 'onnxruntime:fp16'], 'onnxruntime:fp16 is compared with itself'],
    [
      ['--engine', 'fp17'],
      `--engine: expected one of fp32, fp16, bf16, int8, int8-weights, int4-weights, received 'fp17'`,
    ],
    [['--cosine', 'much'], `option 'verify.cosine': expected number, received NaN`],
    [['--engine', 'int8'], 'engine=int8: expected calibration samples'],
    [
      ['--save', 'product.onnx'],
      'the output folder product.onnx: expected a folder that can be written, with space for the tensors',
    ],
  ])('the arguments %j are refused in one line', async (more, message) => {
    const { code, stdout, stderr } = await verify(write('product', product), ...onOnnxruntime, ...more)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(message)
    expect(stderr).not.toContain('    at ')
  })

  test('a backend that this machine lacks is refused by name', async () => {
    const { code, stderr } = await verify(write('product', product), '--backend', 'tensorrt')
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^tensorrt: /) })
  })
})

describe.skipIf(withoutOpenVino)('verify with OpenVINO', () => {
  test('--all-nodes marks the first node that differs', async () => {
    const file = write('pooled', pooled)
    const args = ['--backend', 'openvino', '--against', 'onnxruntime', '--all-nodes'] as const
    const { code, stdout } = await verify(file, ...args)
    expect(code).toBe(2)
    const rows = [...stdout.matchAll(/^ {2}([ >*]) {2}(\w+) +(\w+) +(\w+) {2}/gm)].map((row) => row.slice(1))
    expect(rows).toEqual([
      [' ', 'node', 'operator', 'value'],
      [' ', 'rectify', 'Relu', 'r'],
      ['>', 'pool', 'AveragePool', 'p'],
      ['*', 'root', 'Sqrt', 'y'],
    ])
    expect(stdout).toContain('"pool" (AveragePool) is the first that differs: "p" has cosine')
    expect(stdout).toContain('The first node that differs is pool (AveragePool)')
    const json = JSON.parse((await verify(file, ...args, '--json')).stdout) as [{ nodes: object[] }]
    expect(json[0].nodes).toMatchObject([
      { node: 'rectify', operator: 'Relu', name: 'r', comparison: { maxAbs: 0 } },
      { node: 'pool', problem: expect.stringContaining('has cosine') },
      { node: 'root', problem: expect.stringContaining('has cosine') },
    ])
  })

  test('two backends in one precision are compared', async () => {
    const { code, stdout } = await verify(
      write('product', product),
      ...onOnnxruntime,
      '--engine=int8-weights',
      '--against=openvino:int8-weights',
      '--all-nodes',
    )
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('compared with openvino:int8-weights'),
    })
    expect(stdout).toContain('no value differs')
  })

  test.skipIf(!computesBf16())('bfloat16 is saved as float32, which NumPy has', async () => {
    const save = join(folder, 'bf16')
    const args = ['--backend=openvino', '--engine=bf16', '--io=bf16', `--save=${save}`] as const
    expect(await verify(write('product', product), ...args)).toMatchObject({ code: 0 })
    const read = await readNpz(join(save, '000.openvino-bf16.npz'))
    expect(read.get('y')).toMatchObject({ dtype: 'float32', dims: [1, 64] })
  })
})

async function readNpz(file: string) {
  const entries = await unzipNpz(readFileSync(file), [])
  return new Map(entries.map(([name, bytes]) => [name, parseNpy(bytes)]))
}

describe('verify --save', () => {
  /** Names that lead out of a folder, or act on a terminal, and those that exporters write. */
  const names = [
    '/model/Add_output_0',
    'a/b',
    '../x',
    '/../../etc/y',
    'C:\\x',
    'x\u001B[2J\n',
    '__proto__',
    '..',
    '%41',
  ]

  const hostile: ModelSpec = {
    inputs: Object.fromEntries(names.map((name) => [name, 'float32[2]'])),
    outputs: Object.fromEntries(names.map((name) => [`${name}!`, 'float32[2]'])),
    nodes: names.map((name) => ({ op: 'Neg', inputs: [name], outputs: [`${name}!`] })),
  }

  test('names in a model never lead out of the folder, and saved inputs are samples', async () => {
    const [file, save] = [write('hostile', hostile), join(folder, 'hostile')]
    const first = await verify(file, ...onOnnxruntime, '--save', save, '--json')
    expect(first.code).toBe(0)
    const saved = readdirSync(save)
    expect(saved).toContain('000.inputs.npz')
    for (const name of saved) {
      const entries = await unzipNpz(readFileSync(join(save, name)), [])
      expect(entries).toHaveLength(names.length)
      for (const [entry] of entries) {
        expect(entry).toMatch(/^[^/\\:\p{Cc}][^\\:\p{Cc}]*$/u)
        expect(entry.split('/')).not.toContain('..')
      }
    }
    const count = saved.filter((name) => name.endsWith('.inputs.npz')).length
    const again = await verify(file, ...onOnnxruntime, `--samples=${save}/*.inputs.npz`, '--json')
    expect(JSON.parse(again.stdout)[0]).toMatchObject({ verification: { inputs: `${count} samples`, failures: [] } })
  })

  test('NumPy reads every dtype, and all values with --all-nodes', async () => {
    const requirements = join(repository, 'test', 'corpus', 'requirements.txt')
    const python = await orSkip('.npz files in NumPy', () => pythonWith(requirements))
    if (!python) return
    const kinds = [
      'float32',
      'float64',
      'int8',
      'uint8',
      'int16',
      'uint16',
      'int32',
      'uint32',
      'int64',
      'uint64',
      'bool',
    ] as const
    const all: ModelSpec = {
      inputs: { ...Object.fromEntries(kinds.map((kind) => [`${kind}/in`, `${kind}[2,3]`])), text: 'string[2]' },
      outputs: {
        ...Object.fromEntries(kinds.map((kind) => [kind, `${kind}[2,3]`])),
        half: 'float16[2,3]',
        words: 'string[2]',
        scalar: 'float32[]',
      },
      nodes: [
        ...kinds.map((kind) => ({ op: 'Identity', inputs: [`${kind}/in`], outputs: [kind] })),
        { op: 'Sin', inputs: ['float32/in'], outputs: ['inner'] },
        { op: 'Cast', inputs: ['inner'], outputs: ['half'], attributes: { to: 10 } },
        { op: 'Identity', inputs: ['text'], outputs: ['words'] },
        { op: 'ReduceSum', inputs: ['inner'], outputs: ['scalar'], attributes: { keepdims: 0 } },
      ],
    }
    writeFileSync(join(folder, 'all.mjs'), everyDType)
    const save = join(folder, 'all')
    const file = write('all', all)
    const result = await verify(file, ...onOnnxruntime, '--samples=all.mjs', '--all-nodes', '--save', save)
    expect(result).toMatchObject({ code: 0 })
    const script = join(folder, 'read.py')
    writeFileSync(script, readWithNumpy)
    const { stdout } = await promisify(execFile)(python, [script, join(save, '000.fp32-model.npz')])
    const read = JSON.parse(stdout) as Record<string, [string, number[], string[]]>
    expect(Object.keys(read).sort()).toEqual([...kinds, 'half', 'words', 'scalar', 'inner'].sort())
    for (const kind of kinds) expect(read[kind]!.slice(0, 2)).toEqual([kind, [2, 3]])
    expect(read['half']).toMatchObject(['float16', [2, 3], ['0.0', '0.8413', '0.8413', '0.0', '0.8413', '0.0']])
    expect(read['int64']![2]).toEqual(['0', String(2n ** 62n), String(2n ** 62n), '0', String(2n ** 62n), '0'])
    expect(read['bool']![2]).toEqual(['False', 'True', 'True', 'False', 'True', 'False'])
    expect(read['words']).toEqual(['<U6', [2], ['häuser', '漢字🙂']])
    expect(read['scalar']!.slice(0, 2)).toEqual(['float32', []])
  })

  test('text that NumPy cannot hold is refused by the name of its binding', async () => {
    const text: ModelSpec = {
      inputs: { text: 'string[1]' },
      outputs: { words: 'string[1]' },
      nodes: [{ op: 'Identity', inputs: ['text'], outputs: ['words'] }],
    }
    writeFileSync(join(folder, 'zero.mjs'), `export default [{ text: ['a\\0'] }]\n`)
    const args = ['--samples=zero.mjs', '--save', join(folder, 'zero')] as const
    expect(await verify(write('text', text), ...onOnnxruntime, ...args)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('"text" cannot be saved: NumPy drops the zeros that a text ends in'),
    })
  })
})

/** A module of one sample for the model with all dtypes. */
const everyDType = `
const list = [0, 1, 1, 0, 1, 0]
const big = list.map((value) => BigInt(value) * 2n ** 62n)
const arrays = {
  float32: Float32Array, float64: Float64Array, int8: Int8Array, uint8: Uint8Array, int16: Int16Array,
  uint16: Uint16Array, int32: Int32Array, uint32: Uint32Array, bool: Uint8Array,
}
const entries = Object.entries(arrays).map(([kind, array]) => [kind + '/in', array.from(list)])
const wide = { 'int64/in': BigInt64Array.from(big), 'uint64/in': BigUint64Array.from(big) }
export default [{ ...Object.fromEntries(entries), ...wide, text: ['häuser', '漢字🙂'] }]
`

const readWithNumpy = `
import json, sys, numpy
read = numpy.load(sys.argv[1], allow_pickle=False)
arrays = {name: read[name] for name in read.files}
print(json.dumps({name: [str(a.dtype), list(a.shape), a.astype(str).ravel().tolist()] for name, a in arrays.items()}))
`

beforeAll(() => mkdirSync(join(folder, 'node_modules'), { recursive: true }))
