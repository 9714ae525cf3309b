import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { compile, writeModel } from 'unplugin-onnx'
import onnx from 'unplugin-onnx/rolldown'
import { beforeAll, describe, expect, it } from 'vitest'
import type { BundleInspection, EngineInspection, ModelInspection } from '../../plugin/inspect/contract.ts'
import { runCommand } from '../support/command.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel, encode, type ModelSpec, onnxModel } from '../support/models.ts'

const folder = tempFolder()
const cache = join(folder, 'cache')
const model = join(folder, 'net.onnx')
const inspect = (...args: readonly string[]) => runCommand(['inspect', ...args], folder)

async function inspected<T>(...args: readonly string[]): Promise<T> {
  const { stdout, stderr } = await inspect(...args, '--json')
  expect(stderr).toBe('')
  return JSON.parse(stdout) as T
}

/** A convolution, a computed shape and a product. */
const net: ModelSpec = {
  inputs: { image: 'float32[batch,3,h,h]' },
  outputs: { y: 'float32[batch,4]' },
  nodes: [
    { op: 'Conv', inputs: ['image', 'kernel'], outputs: ['c'], attributes: { kernel_shape: [3, 3] } },
    { op: 'GlobalAveragePool', inputs: ['c'], outputs: ['g'] },
    { op: 'Shape', inputs: ['image'], outputs: ['s'] },
    { op: 'Gather', inputs: ['s', 'zero'], outputs: ['n'] },
    { op: 'Concat', inputs: ['n', 'rest'], outputs: ['shape'], attributes: { axis: 0 } },
    { op: 'Reshape', inputs: ['g', 'shape'], outputs: ['flat'] },
    { op: 'MatMul', inputs: ['flat', 'm'], outputs: ['y'] },
  ],
  initializers: {
    kernel: { dtype: 'float32', dims: [16, 3, 3, 3], data: Array.from({ length: 432 }, (_, i) => Math.sin(i)) },
    m: { dtype: 'float32', dims: [16, 4], data: Array.from({ length: 64 }, (_, i) => Math.cos(i)) },
    zero: { dtype: 'int64', dims: [1], data: [0] },
    rest: { dtype: 'int64', dims: [1], data: [16] },
  },
}

beforeAll(() => writeFileSync(model, onnxModel(net)))

describe('unplugin-onnx inspect of a model', () => {
  it('computes costs from the shapes that ONNX Runtime infers, and asks every backend', async () => {
    const found = await inspected<ModelInspection>(model, '--shapes', 'image:2x3x10x10')
    expect(found).toMatchObject({
      kind: 'model',
      irVersion: 8,
      opsets: { '': 17 },
      producer: 'unplugin-onnx-test',
      bindings: { inputs: [{ name: 'image', dtype: 'float32', dims: ['batch', 3, 'h', 'h'] }] },
      problems: [],
      weights: { tensors: 4, parameters: 432 + 64 + 2 },
      // 2 images of 16 channels of 8x8, each the sum of 27 products; and 2 rows of 16 by 4 columns.
      multiplyAdds: 2 * 16 * 64 * 27 + 2 * 16 * 4,
      // While the pool runs: the results of Conv and of the pool, and the image, which Shape reads afterwards.
      peakActivations: 4 * (2 * 16 * 64 + 2 * 16 + 2 * 3 * 100),
    })
    const [most] = found.operators
    expect(most).toEqual({ operator: 'Conv', domain: '', count: 1, weightBytes: 1728, multiplyAdds: 55296 })
    const ours = found.preflight.find(({ backend }) => backend === 'onnxruntime')
    expect(ours?.precisions.map(({ engine, refused }) => [engine, refused])).toEqual(
      ['fp32', 'fp16', 'bf16', 'int8', 'int8-weights', 'int4-weights'].map((engine) => [engine, undefined]),
    )
    expect(ours?.precisions[1]?.lowering).toMatchObject({ unit: 'weights', total: 1, lowered: 1 })
    expect(ours?.precisions[3]?.lowering).toMatchObject({ unit: 'nodes', total: 2 })
  })

  it('prints lines of at most 100 columns without colours, and names the dims that it needs', async () => {
    const { code, stdout } = await inspect(model)
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^net\.onnx {2}\d.* kB {2}IR 8 {2}opset 17 {2}by unplugin-onnx-test\ninputs\n {2}image {2}float32\[/,
    )
    expect(stdout).toContain('shapes  unknown, because some dims are open: image[2] h, image[3] h. Give --shapes')
    expect(stdout).toMatch(/Conv +1 +\d+\.\d% +unknown/)
    expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([])
    expect(stdout).not.toContain('\u001B')
  })

  it('counts weights of Constant nodes, and prints an import that works', async () => {
    writeFileSync(
      join(folder, '2 halves.onnx'),
      onnxModel({
        inputs: { x: 'float32[3]' },
        outputs: { y: 'float32[3]' },
        nodes: [
          {
            op: 'Constant',
            inputs: [],
            outputs: ['c'],
            attributes: { value: { tensor: { dtype: 'float32', dims: [3], data: [1, 2, 3] } } },
          },
          { op: 'Mul', inputs: ['x', 'w'], outputs: ['p'] },
          { op: 'Add', inputs: ['p', 'c'], outputs: ['y'] },
        ],
        initializers: { w: { dtype: 'float32', dims: [1], data: [2] } },
      }),
    )
    const { stdout } = await inspect('2 halves.onnx')
    expect(stdout).toMatch(/^initializers {2}1 and 1 constant, 16 B, 4 parameters$/m)
    expect(stdout).toMatch(/^import {2}import _2_halves from '\.\/2 halves\.onnx\?engine=fp32'$/m)
    expect(await inspected<ModelInspection>('2 halves.onnx')).toMatchObject({ weights: { tensors: 2, parameters: 4 } })
  })

  it.each<[string, Uint8Array, RegExp]>([
    [
      'a cycle',
      onnxModel({
        inputs: { x: 'float32[2]' },
        outputs: { y: 'float32[2]' },
        nodes: [
          { op: 'Add', inputs: ['x', 'b'], outputs: ['a'] },
          { op: 'Add', inputs: ['x', 'a'], outputs: ['b'] },
          { op: 'Add', inputs: ['a', 'b'], outputs: ['y'] },
        ],
      }),
      /ONNX Runtime refuses the graph|cycle/,
    ],
    [
      'a binding that is a sequence',
      encode('ModelProto', {
        irVersion: 8,
        opsetImport: [{ domain: '', version: 17 }],
        graph: {
          name: 'g',
          input: [{ name: 'x', type: { sequenceType: new Uint8Array() } }],
          output: [{ name: 'y' }],
        },
      }),
      /x {2,}.*a sequence[^]*y {2,}.*expected a dtype/,
    ],
    [
      'external data that is gone',
      onnxModel({
        inputs: { x: 'float32[1]' },
        outputs: { y: 'float32[1]' },
        nodes: [{ op: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
        initializers: { w: { dtype: 'float32', dims: [1], data: [], external: { location: 'gone.bin' } } },
      }),
      /problem {2}.*gone\.bin/,
    ],
    [
      'a name that controls the terminal',
      onnxModel({
        inputs: { 'x\u001B[2J\n': 'float32[n]', ['__proto__']: 'float32[n]' },
        outputs: { y: 'float32[n]' },
        nodes: [{ op: 'Add', inputs: ['x\u001B[2J\n', '__proto__'], outputs: ['y'] }],
      }),
      /__proto__/,
    ],
    [
      'a name of 10 MB',
      onnxModel({
        inputs: { ['n'.repeat(10e6)]: 'float32[2]' },
        outputs: { y: 'float32[2]' },
        nodes: [{ op: 'Relu', inputs: ['n'.repeat(10e6)], outputs: ['y'] }],
      }),
      /n{50}\.\.\./,
    ],
  ])('%s is described, not thrown', async (_, bytes, expected) => {
    const file = join(folder, 'odd.onnx')
    writeFileSync(file, bytes)
    const { code, stdout, stderr } = await inspect(file)
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(stdout).toMatch(expected)
    expect(stdout).not.toContain('\u001B')
    expect(stdout.length).toBeLessThan(10_000)
  })

  it.each<[string, string, RegExp]>([
    ['a text', 'text.onnx', /text\.onnx: expected an ONNX model, received a text file/],
    [
      'a file of another kind',
      'notes.txt',
      /notes\.txt: expected a model, an engine, a manifest .*received none of these/,
    ],
    ['nothing', 'absent.onnx', /absent\.onnx: expected an ONNX model, received no file/],
    ['JSON that is no manifest', 'some.json', /manifest .*some\.json: expected/],
    ['a folder without models', 'empty', /empty: expected the output of a build/],
  ])('%s is refused in one line', async (_, name, message) => {
    for (const file of ['text.onnx', 'notes.txt', 'some.json']) writeFileSync(join(folder, file), '"not a model"')
    mkdirSync(join(folder, 'empty'), { recursive: true })
    expect(await inspect(name)).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(message) })
  })
})

describe('unplugin-onnx inspect of engines', () => {
  const out = join(folder, 'out')

  beforeAll(async () => {
    writeFileSync(join(folder, 'affine.onnx'), affineModel())
    const args = ['build', 'affine.onnx', '--out', out, '--backend', 'onnxruntime', '--cache-dir', cache]
    await runCommand(args, folder)
  })

  it('a manifest lists engines, requirements, checksums and the one that this machine takes', async () => {
    const { models } = await inspected<BundleInspection>(join(out, 'affine.json'))
    expect(models).toMatchObject([{ name: 'affine', taken: 0 }])
    expect(
      new Set(models[0]!.variants.map(({ backend, checksum, verified }) => `${backend} ${checksum} ${verified}`)),
    ).toEqual(new Set(['onnxruntime ok true']))
  })

  it('an engine that was never compared with the fp32 model is marked', async () => {
    const options = {
      root: folder,
      engine: 'fp16',
      backends: ['onnxruntime'],
      verify: false,
      cache: { dir: cache },
    } as const
    const compiled = await compile(join(folder, 'affine.onnx'), options, { log: () => {} })
    const manifest = await writeModel(compiled, join(folder, 'unverified'))
    expect((await inspect(manifest)).stdout).toMatch(/requires version .*arch any[^]*checksum ok, not verified/)
  })

  it('an engine is recognised by its first bytes, and its manifest is found', async () => {
    const { models } = await inspected<BundleInspection>(out)
    for (const { file } of models[0]!.variants.filter((variant) => variant.file.endsWith('.ort'))) {
      expect(await inspected<EngineInspection>(file)).toMatchObject({
        kind: 'engine',
        backend: 'onnxruntime',
        manifest: join(out, 'affine.json'),
        entry: { checksum: 'ok', requires: { arch: process.arch } },
      })
    }
  })

  it.each<[string, readonly number[], object]>([
    ['TensorRT-RTX', [0x76, 0x74, 0x72, 0x74, ...Array<number>(20).fill(0), 1, 7, 1, 116], { version: '1.7.1.116' }],
    ['TensorRT', [0x70, 0x74, 0x72, 0x74], {}],
  ])('an engine of 2 GB of %s is described by its header', async (_, header, facts) => {
    const file = join(folder, 'large.engine')
    const handle = openSync(file, 'w')
    writeSync(handle, Uint8Array.from(header))
    ftruncateSync(handle, 2 ** 31 + 1)
    closeSync(handle)
    const found = await inspected<EngineInspection>(file)
    rmSync(file)
    expect(found).toMatchObject({ kind: 'engine', size: 2 ** 31 + 1, facts })
  })

  it('a damaged engine is named, and this machine takes the next one', async () => {
    const { models } = await inspected<BundleInspection>(out)
    const [first, ...others] = models[0]!.variants
    const bytes = readFileSync(first!.file)
    writeFileSync(
      first!.file,
      bytes.map((byte, index) => (index === 100 ? byte ^ 1 : byte)),
    )
    const damaged = await inspected<BundleInspection>(out)
    writeFileSync(first!.file, bytes)
    expect(damaged.models[0]!.variants[0]!.checksum).toBe('its bytes are not those that were shipped')
    expect(damaged.models[0]!.taken).toBe(others.length > 0 ? 1 : null)
  })

  it.each([true, false])('the models of a bundle are found in its code (minified: %s)', async (minify) => {
    const app = join(folder, `app-${minify}`)
    mkdirSync(app)
    writeFileSync(join(app, 'main.js'), `import model from '../affine.onnx?backend=onnxruntime'\nconsole.log(model)\n`)
    const bundle = await rolldown({
      input: join(app, 'main.js'),
      platform: 'node',
      plugins: [onnx({ root: folder, cache: { dir: cache }, types: false })],
    })
    await bundle.write({ dir: join(app, 'dist'), minify })
    await bundle.close()
    writeFileSync(join(app, 'dist', 'assets', 'old.ort'), 'left over')
    const found = await inspected<BundleInspection>(join(app, 'dist'))
    expect(found).toMatchObject({
      kind: 'bundle',
      models: [{ name: 'affine', source: 'main.js', taken: 0 }],
      unlisted: [join('assets', 'old.ort')],
    })
    expect(new Set(found.models[0]!.variants.map(({ checksum }) => checksum))).toEqual(new Set(['ok']))
  })
})
