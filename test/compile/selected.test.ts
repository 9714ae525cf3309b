import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile, writeModel, type Options } from 'unplugin-onnx'
import { loadModel, type Model } from 'unplugin-onnx/runtime'
import { describe, expect, test } from 'vitest'
import { editBindings } from '../../plugin/onnx/edit-bindings.ts'
import { loadGraph } from '../../plugin/onnx/graph.ts'
import { resolveOptions } from '../../plugin/options/resolve.ts'
import { typeSources } from '../../plugin/types/sync.ts'
import { missingNative } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'
import { encode, onnxModel, wireField, type ModelSpec } from '../support/models.ts'
import { missingOpenVino } from '../support/openvino-models.ts'
import { writeProject } from '../support/typed-project.ts'

const folder = tempFolder()
const openvino = missingOpenVino()
let count = 0

function saved(bytes: Uint8Array): string {
  const file = join(folder, `model${++count}.onnx`)
  writeFileSync(file, bytes)
  return file
}

async function inputsOf(bytes: Uint8Array, options: Options): Promise<readonly string[]> {
  return (await build(saved(bytes), options)).compiled.bindings.inputs.map(({ name }) => name)
}

function inspect(bytes: Uint8Array): string {
  const cli = join(import.meta.dirname, '../../dist/plugin/cli.js')
  return execFileSync(process.execPath, [cli, 'inspect', saved(bytes)], { encoding: 'utf8' })
}

interface Built {
  readonly lines: readonly string[]
  readonly compiled: Awaited<ReturnType<typeof compile>>
  load(session: 'native' | 'worker'): Promise<Model>
}

async function build(file: string, options: Options): Promise<Built> {
  const lines: string[] = []
  const log = (line: string) => void lines.push(line)
  const cache = { dir: join(folder, 'cache') }
  const compiled = await compile(
    file,
    { root: folder, backends: ['onnxruntime'], cache, ...options },
    { log, warn: log },
  )
  const manifest = await writeModel(compiled, join(folder, `out${count}`))
  return { lines, compiled, load: async (session) => loadModel(manifest, { session }) }
}

function tensor(elemType: number, dims: readonly (number | string)[]): object {
  const dim = dims.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }))
  return { tensorType: { elemType, shape: { dim } } }
}

/** What skl2onnx makes of a classifier: a label, and a sequence of maps with the probability of each class. */
function scikitClassifier(): Uint8Array {
  const float = encode('TypeProto', { tensorType: { elemType: 1 } })
  const map = wireField(5, Buffer.concat([Uint8Array.of(8, 7), wireField(2, float)]))
  return encode('ModelProto', {
    irVersion: 8,
    opsetImport: [
      { domain: '', version: 17 },
      { domain: 'ai.onnx.ml', version: 1 },
    ],
    graph: {
      name: 'classifier',
      input: [{ name: 'x', type: tensor(1, ['n', 2]) }],
      output: [
        { name: 'label', type: tensor(7, ['n']) },
        { name: 'probabilities', type: { sequenceType: wireField(1, map) } },
      ],
      node: [
        {
          opType: 'LinearClassifier',
          domain: 'ai.onnx.ml',
          input: ['x'],
          output: ['label', 'scores'],
          attribute: [
            { name: 'coefficients', type: 6, floats: [1, 0, 0, 1] },
            { name: 'intercepts', type: 6, floats: [0, 0] },
            { name: 'classlabels_ints', type: 7, ints: [3, 5] },
          ],
        },
        {
          opType: 'ZipMap',
          domain: 'ai.onnx.ml',
          input: ['scores'],
          output: ['probabilities'],
          attribute: [{ name: 'classlabels_int64s', type: 7, ints: [3, 5] }],
        },
      ],
    },
  })
}

describe('outputs of a scikit-learn classifier', () => {
  const rows = { data: Float32Array.of(2, 1, 1, 4), dims: [2, 2] }

  test('a map among them stops the build, which names the option and zipmap=False', async () => {
    await expect(build(saved(scikitClassifier()), {})).rejects.toMatchObject({
      code: 'MODEL_UNSUPPORTED',
      message: expect.stringMatching(
        /output "probabilities": expected a tensor, received a sequence\. .*option 'outputs'.*\?outputs=.*'zipmap': False/,
      ),
    })
  })

  test.each(['native', 'worker'] as const)('the label alone is computed (%s)', async (session) => {
    const { load, compiled } = await build(saved(scikitClassifier()), { outputs: ['label'] })
    expect(compiled.bindings.outputs.map(({ name }) => name)).toEqual(['label'])
    await using model = await load(session)
    const outputs = await model.infer({ x: rows })
    expect(Object.keys(outputs)).toEqual(['label'])
    expect(outputs['label']?.data).toEqual(BigInt64Array.of(3n, 5n))
  })

  test.each<[title: string, outputs: string[], code: string, message: RegExp]>([
    ['that is a map', ['label', 'probabilities'], 'MODEL_UNSUPPORTED', /output "probabilities"/],
    [
      'that the model does not have',
      ['lable'],
      'OPTION_INVALID',
      /outputs: expected an output: label, received 'lable'\. Did you mean 'label'\?/,
    ],
  ])('an output %s is refused', async (_, outputs, code, message) => {
    await expect(build(saved(scikitClassifier()), { outputs })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    })
  })

  test('inspect prints the model and marks the map', () => {
    expect(inspect(scikitClassifier())).toMatch(
      /outputs\n {2}label +int64\[n\]\n {2}probabilities +a sequence \(unsupported\)\n/,
    )
  })
})

const branches: ModelSpec = {
  inputs: { x: 'float32[1,2]', z: 'float32[1,2]' },
  outputs: { sum: 'float32[1,2]', product: 'float32[1,2]', root: 'float32[1,2]' },
  nodes: [
    { op: 'Mul', inputs: ['x', 'w'], outputs: ['scaled'] },
    { op: 'Add', inputs: ['scaled', 'z'], outputs: ['sum'] },
    { op: 'Mul', inputs: ['scaled', 'v'], outputs: ['product'] },
    { op: 'Sqrt', inputs: ['product'], outputs: ['root'] },
  ],
  initializers: {
    w: { dtype: 'float32', dims: [1], data: [2] },
    v: { dtype: 'float32', dims: [1], data: [8] },
  },
}

describe('the option outputs', () => {
  test.each([
    [['sum'], ['Mul scaled', 'Add sum'], ['w']],
    [['product'], ['Mul scaled', 'Mul product'], ['w', 'v']],
    [
      ['root', 'sum'],
      ['Mul scaled', 'Add sum', 'Mul product', 'Sqrt root'],
      ['w', 'v'],
    ],
  ])('with %j keeps the nodes and weights that these need', async (outputs, nodes, weights) => {
    const graph = await loadGraph(saved(onnxModel(branches)))
    editBindings(graph, { outputs, inputs: [] })
    const { node, initializer } = graph.proto.graph
    expect(node.map(({ opType, output }) => `${opType} ${output[0]}`)).toEqual(nodes)
    expect(initializer.map(({ name }) => name)).toEqual(weights)
  })

  const engines: Options[] = [{}, { engine: 'fp16' }, { shapes: { x: [1, 2] } }]
  if (!openvino) engines.push({ backends: ['openvino'] }, { backends: ['openvino'], engine: 'int8-weights' })

  test.each(engines)('leaves the numbers of the others as they are with %j', async (options) => {
    const { load, lines } = await build(saved(onnxModel(branches)), { ...options, outputs: ['product'] })
    await using model = await load('native')
    const given = { data: Float32Array.of(1, 2), dims: [1, 2] }
    const { product, ...others } = await model.infer({ x: given, z: given })
    expect(product?.data).toEqual(Float32Array.of(16, 32))
    expect(others).toEqual({})
    expect(lines.join('\n')).not.toContain('outputs')
  })

  test('is a key of the query and part of the cache key, and types have only what is left', async () => {
    writeProject(folder, {
      'pick/branches.onnx': { inputs: { x: 'float32[1,2]' }, outputs: { y: 'float32[1,2]', 'z,1': 'float32[1,2]' } },
      'pick/main.ts': `import one from './branches.onnx?outputs=z%2C1'\nimport all from './branches.onnx'\n`,
    })
    const root = join(folder, 'pick')
    const { problems } = await typeSources(resolveOptions({ root }), {})
    expect(problems).toEqual([])
    const declared = (name: string) => readFileSync(join(root, '.unplugin-onnx/types', name), 'utf8')
    expect(declared('branches.d.onnx?outputs=z%2C1.ts')).toMatch(/\{\n {2}"z,1": "float32\[1,2\]"\n\}>/)
    expect(declared('branches.d.onnx.ts')).toMatch(/y: .*\n.*"z,1": /)
    const file = saved(onnxModel(branches))
    const first = await build(file, { outputs: ['sum'] })
    const second = await build(file, { outputs: ['root'] })
    const again = await build(file, { outputs: ['sum'] })
    const digests = [first, second, again].map(({ compiled }) => compiled.variants[0]?.artifact.sha256)
    expect(digests[0]).not.toBe(digests[1])
    expect(digests[2]).toBe(digests[0])
    expect(again.compiled.variants[0]?.cache.hit).toBe(true)
  })
})

test.skipIf(missingNative)('a default is filled in for a call on the thread of the caller', async () => {
  const { load } = await build(saved(onnxModel(scaled)), { optionalInputs: true })
  await using model = await load('native')
  await model.load()
  const y = (inputs: object) => model.inferSync?.(inputs as never)['y']?.data
  expect(y({ x: Float32Array.of(1, 2) })).toEqual(Float32Array.of(3, 6))
  expect(y({ x: Float32Array.of(1, 2), scale: Float32Array.of(2) })).toEqual(Float32Array.of(2, 4))
})

const scaled: ModelSpec = {
  inputs: { x: 'float32[1,2]', scale: 'float32[1]', power: 'float32[1]' },
  outputs: { y: 'float32[1,2]' },
  nodes: [
    { op: 'Exp', inputs: ['power'], outputs: ['factor'] },
    { op: 'Mul', inputs: ['x', 'scale'], outputs: ['scaled'] },
    { op: 'Mul', inputs: ['scaled', 'factor'], outputs: ['y'] },
  ],
  initializers: {
    scale: { dtype: 'float32', dims: [1], data: [3] },
    power: { dtype: 'float32', dims: [1], data: [0] },
  },
}

describe('inputs that have a default', () => {
  const x = Float32Array.of(1, 2)
  const engines: [string, Options, 'native' | 'worker'][] = [
    ['ONNX Runtime, native', {}, 'native'],
    ['ONNX Runtime in a worker', {}, 'worker'],
    ['ONNX Runtime, int8-weights', { engine: 'int8-weights' }, 'native'],
    ...(openvino ? [] : [['OpenVINO', { backends: ['openvino'] }, 'native'] as [string, Options, 'native']]),
  ]

  test.each(engines)('are given or left out at will with %s', async (_, options, session) => {
    const { load, compiled } = await build(saved(onnxModel(scaled)), { ...options, optionalInputs: ['scale'] })
    expect(compiled.bindings.inputs).toMatchObject([{ name: 'x' }, { name: 'scale', optional: true }])
    await using model = await load(session)
    const run = async (inputs: object) => (await model.infer(inputs as never))['y']?.data
    expect(await run({ x })).toEqual(Float32Array.of(3, 6))
    expect(await run({ x, scale: Float32Array.of(10) })).toEqual(Float32Array.of(10, 20))
    expect(await run({ x })).toEqual(Float32Array.of(3, 6))
    await expect(run({ x, power: Float32Array.of(1) })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  })

  test('are all of them with true, none without the option, and nothing is a default of an old exporter', async () => {
    expect(await inputsOf(onnxModel(scaled), { optionalInputs: true })).toEqual(['x', 'scale', 'power'])
    expect(await inputsOf(onnxModel(scaled), {})).toEqual(['x'])
    const old = onnxModel({ ...scaled, irVersion: 3 })
    expect(await inputsOf(old, {})).toEqual(['x'])
    expect(await inputsOf(old, { optionalInputs: ['power'] })).toEqual(['x', 'power'])
    await expect(inputsOf(old, { optionalInputs: true })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringMatching(/IR version below 4/),
    })
  })

  test.each<[title: string, options: Options, message: RegExp]>([
    [
      'an input without a default',
      { optionalInputs: ['x'] },
      /optionalInputs: expected an input with a default: scale, power/,
    ],
    ['a weight', { optionalInputs: ['w'] }, /a default of at most 65\.5 kB.*received 80\.0 kB\. Name only/],
    [
      'another dtype',
      { engine: 'fp16', precision: { io: 'fp16' }, optionalInputs: ['scale'] },
      /float32\[1\], as its default is/,
    ],
  ])('%s is refused', async (_, options, message) => {
    const spec: ModelSpec = {
      ...scaled,
      inputs: { ...scaled.inputs, w: 'float32[20000]' },
      initializers: { ...scaled.initializers, w: { dtype: 'float32', dims: [20_000], data: new Uint8Array(80_000) } },
    }
    await expect(build(saved(onnxModel(spec)), options)).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringMatching(message),
    })
  })

  test('are typed as optional', async () => {
    const root = join(folder, 'typed')
    writeProject(folder, {
      'typed/src/model.onnx': { inputs: { x: 'float32[1,2]' }, outputs: { y: 'float32[1,2]' } },
      'typed/src/main.ts': `import model from './model.onnx'\n`,
    })
    writeFileSync(join(root, 'src/model.onnx'), onnxModel(scaled))
    const { written, problems } = await typeSources(resolveOptions({ root, optionalInputs: ['scale'] }), {})
    expect(problems).toEqual([])
    const file = written.find((path) => path.endsWith('model.d.onnx.ts')) ?? ''
    expect(readFileSync(join(root, '.unplugin-onnx', file), 'utf8')).toMatch(
      /x: "float32\[1,2\]"\n {2}scale\?: "float32\[1\]"\n\}/,
    )
  })

  test('are printed by inspect', () => {
    expect(inspect(onnxModel(scaled))).toMatch(
      /inputs with a default\n {2}scale +float32\[1\]\n {2}power +float32\[1\]\n/,
    )
  })
})
