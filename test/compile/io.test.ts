import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { compile, writeModel, type Compiled, type Options } from 'unplugin-onnx'
import { loadModel } from 'unplugin-onnx/runtime'
import { describe, expect, test } from 'vitest'
import { findImports } from '../../plugin/imports/find.ts'
import { castBindings } from '../../plugin/onnx/cast-bindings.ts'
import { loadGraph } from '../../plugin/onnx/graph.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { resolveOptions } from '../../plugin/options/resolve.ts'
import { roundToHalf } from '../../plugin/precision/half/rounding.ts'
import { writeTypes } from '../../plugin/types/write.ts'
import { checkModels, loadCorpus } from '../corpus/index.ts'
import { missingNative } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel, type ModelSpec } from '../support/models.ts'
import { computesBf16, missingOpenVino } from '../support/openvino-models.ts'
import { orSkip } from '../support/python.ts'
import { uniform } from '../support/samples.ts'
import { missingTensorRtRtx } from '../support/tensorrt-library.ts'
import { writeProject } from '../support/typed-project.ts'

const folder = tempFolder()
const valid = tempFolder()
let count = 0
const corpus = await orSkip('the checker of the ONNX library', loadCorpus)

const net: ModelSpec = {
  inputs: { x: 'float32[1,64]', ids: 'int64[1]' },
  outputs: { y: 'float32[1,64]', where: 'int64[1,1]' },
  nodes: [
    { op: 'Gather', inputs: ['w', 'ids'], outputs: ['row'] },
    { op: 'Flatten', inputs: ['x'], outputs: ['flat'] },
    { op: 'MatMul', inputs: ['flat', 'w'], outputs: ['product'] },
    { op: 'Add', inputs: ['product', 'row'], outputs: ['y'] },
    { op: 'ArgMax', inputs: ['y'], outputs: ['where'], attributes: { axis: 1 } },
  ],
  initializers: { w: { dtype: 'float32', dims: [64, 64], data: [...uniform(64 * 64, 1, 1)] } },
}

function saved(spec: ModelSpec): string {
  const file = join(folder, `model${++count}.onnx`)
  writeFileSync(file, onnxModel(spec))
  return file
}

async function build(spec: ModelSpec, options: Options): Promise<Compiled & { readonly lines: readonly string[] }> {
  const lines: string[] = []
  const compiled = await compile(
    saved(spec),
    { backends: ['onnxruntime'], cache: { dir: join(folder, 'cache') }, ...options },
    { log: (line) => lines.push(line) },
  )
  return { ...compiled, lines }
}

describe('16-bit inputs and outputs', () => {
  test('an app with float16 inputs and outputs gets what fp32 gives, rounded', async () => {
    const half = await build(net, { engine: 'fp16', precision: { io: 'fp16' } })
    expect([...half.bindings.inputs, ...half.bindings.outputs].map(({ name, dtype }) => `${name}: ${dtype}`)).toEqual([
      'x: float16',
      'ids: int64',
      'y: float16',
      'where: int64',
    ])
    expect(half.lines.at(-1)).toMatch(/fp16 {2}onnxruntime: 100% of 1 weights lowered.* cosine 1\.00000/)
    const full = await build(net, { engine: 'fp16' })
    expect(full.bindings.inputs[0]?.dtype).toBe('float32')
    expect(half.variants[0]?.artifact.key.digest).not.toBe(full.variants[0]?.artifact.key.digest)

    // Values that float16 holds exactly, so that both engines see the same.
    const x = uniform(64, 2, 1).map((value) => Math.round(value * 256) / 256)
    const ids = BigInt64Array.of(5n)
    const model = await loadModel(await writeModel(half, join(folder, 'half')))
    const reference = await loadModel(await writeModel(full, join(folder, 'full')))
    const [{ y, where }, expected] = [
      await model.infer({ x: roundToHalf.float16(x), ids }),
      await reference.infer({ x, ids }),
    ]
    expect(y).toEqual({
      dtype: 'float16',
      dims: [1, 64],
      data: roundToHalf.float16(expected['y']!.data as Float32Array),
    })
    expect(where).toEqual(expected['where'])
    await expect(model.infer({ x, ids })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    await Promise.all([model.dispose(), reference.dispose()])
  })

  test('16-bit inputs and outputs are in the types of an import', async () => {
    const root = join(folder, 'typed')
    writeProject(root, {
      'm.onnx': { inputs: { x: 'float32[n,4]' }, outputs: { y: 'float32[n,4]' } },
      'main.ts': `import m from './m.onnx?engine=fp16&io=fp16'\nm`,
    })
    const { imports } = await findImports({ options: resolveOptions({}, root) })
    expect(await writeTypes({ root, imports })).toMatchObject({ problems: [] })
    const [declaration] = readdirSync(join(root, '.unplugin-onnx', 'types'))
    expect(readFileSync(join(root, '.unplugin-onnx', 'types', declaration!), 'utf8')).toMatch(
      /x: "float16\[n,4\]"[^]*y: "float16\[n,4\]"/,
    )
  })

  test('outputs whose dtype cannot hold the results fail the verification', async () => {
    const large: ModelSpec = {
      inputs: { x: 'float32[1,64]' },
      outputs: { y: 'float32[1,64]' },
      nodes: [{ op: 'Mul', inputs: ['x', 'large'], outputs: ['y'] }],
      initializers: { large: { dtype: 'float32', dims: [], data: [1e6] } },
    }
    await expect(build(large, { engine: 'fp16', precision: { io: 'fp16' } })).rejects.toThrow(
      /output "y" has NaN or infinity where the fp32 model has numbers/,
    )
  })

  test('--io sets them for a build from the shell', async () => {
    const cli = fileURLToPath(new URL('../../dist/plugin/cli.js', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [
      cli,
      'build',
      saved(net),
      '--engine',
      'fp16',
      '--io',
      'fp16',
      '--backend',
      'onnxruntime',
      '--out',
      join(folder, 'shell'),
      '--cache-dir',
      join(folder, 'cache'),
      '--json',
    ])
    expect(JSON.parse(stdout)).toMatchObject({
      bindings: { inputs: [{ name: 'x', dtype: 'float16' }, { name: 'ids' }] },
    })
  })

  test.skipIf(missingNative)('ONNX Runtime has bfloat16 inputs and outputs in native sessions', async () => {
    const compiled = await build(net, { engine: 'bf16', precision: { io: 'bf16' }, backends: ['onnxruntime'] })
    await using model = await loadModel(await writeModel(compiled, join(folder, 'ort-bf16')))
    await using plain = await loadModel(
      await writeModel(await build(net, { backends: ['onnxruntime'] }), join(folder, 'ort-fp32')),
    )
    const x = uniform(64, 2, 1)
    const ids = BigInt64Array.of(5n)
    const { y } = await model.infer({ x: roundToHalf.bfloat16(x), ids })
    const { y: expected } = await plain.infer({ x, ids })
    expect(y).toMatchObject({ dtype: 'bfloat16', dims: [1, 64], data: expect.any(Uint16Array) })
    const numbers = Array.from(
      y?.data as Uint16Array,
      (bits) => new Float32Array(Uint32Array.of(bits << 16).buffer)[0] ?? 0,
    )
    const wanted = expected?.data as Float32Array
    const largest = Math.max(...wanted.map(Math.abs))
    expect(Math.max(...numbers.map((value, index) => Math.abs(value - (wanted[index] ?? 0)))) / largest).toBeLessThan(
      0.02,
    )
  })

  test.skipIf(missingOpenVino() || !computesBf16())('OpenVINO has bfloat16 inputs and outputs', async () => {
    const compiled = await build(net, { engine: 'bf16', precision: { io: 'bf16' }, backends: ['openvino'] })
    const model = await loadModel(await writeModel(compiled, join(folder, 'openvino')))
    const { y } = await model.infer({ x: roundToHalf.bfloat16(uniform(64, 2, 1)), ids: BigInt64Array.of(5n) })
    expect(y).toMatchObject({ dtype: 'bfloat16', dims: [1, 64], data: expect.any(Uint16Array) })
    await model.dispose()
  })

  test.skipIf(missingTensorRtRtx()).each(['fp16', 'bf16'] as const)(
    'TensorRT-RTX has %s inputs and outputs without a cast at either end',
    async (engine) => {
      const kept = join(folder, `kept-${engine}`)
      const {
        lines,
        variants: [variant],
      } = await build(net, { engine, precision: { io: engine }, backends: ['tensorrt-rtx'], keepOnnx: kept })
      expect(variant?.artifact.size).toBeGreaterThan(10_000)
      expect(lines.at(-1)).toMatch(/100% of 5 nodes lowered, .*emulated/)
      const graph = await loadGraph(
        join(
          kept,
          readdirSync(kept).find((name) => name.endsWith('.onnx'))!,
        ),
      )
      expect(graph.proto.graph.node.map(({ opType }) => opType)).not.toContain('Cast')
    },
  )
})

test.each<[Options, RegExp]>([
  [
    { engine: 'fp32', precision: { io: 'fp16' } },
    /^PRECISION_UNSUPPORTED: model\d+: io=fp16: expected engine=fp16, or inputs and outputs as the model has them, received engine=fp32\. Import the model with \?engine=fp16&io=fp16/,
  ],
  [
    { engine: 'int8-weights', precision: { io: 'fp16' } },
    /^PRECISION_UNSUPPORTED: .*expected engine=fp16, .* received engine=int8-weights/,
  ],
  [
    { engine: 'fp16', precision: { io: 'bf16' } },
    /^PRECISION_UNSUPPORTED: .*expected engine=bf16, .* received engine=fp16/,
  ],
  [
    { engine: 'fp16', precision: { io: 'fp61' as 'fp16' } },
    /^OPTION_INVALID: option 'precision\.io': expected one of fp32, fp16, bf16, received 'fp61'\. Did you mean 'fp16'\?/,
  ],
])('unsupported inputs and outputs are refused: %j', async (options, expected) => {
  const error = await build(net, options).then(
    () => undefined,
    (reason: { code: string; message: string }) => `${reason.code}: ${reason.message}`,
  )
  expect(error).toMatch(expected)
})

const relu: ModelSpec = { inputs: { x: 'float32[2]' }, outputs: { y: 'float32[2]' }, nodes: [] }
const cast = (from: string, made: string, to: number) => ({
  op: 'Cast',
  inputs: [from],
  outputs: [made],
  attributes: { to },
})

describe('graph whose inputs and outputs become float16', () => {
  const cases: readonly (readonly [string, ModelSpec, readonly string[]])[] = [
    [
      'has a cast at both ends',
      { ...relu, nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }] },
      ['Cast(x) x_float32', 'Relu(x_float32) y_float32', 'Cast(y_float32) y'],
    ],
    [
      'has none where it computes in float16',
      { ...relu, nodes: [cast('x', 'a', 10), { op: 'Relu', inputs: ['a'], outputs: ['b'] }, cast('b', 'y', 1)] },
      ['Relu(x) y'],
    ],
    [
      'has one for those that read fp32',
      {
        ...relu,
        nodes: [
          cast('x', 'a', 10),
          { op: 'Relu', inputs: ['a'], outputs: ['b'] },
          cast('b', 'y', 1),
          { op: 'Neg', inputs: ['y'], outputs: ['c'] },
          { op: 'Add', inputs: ['x', 'c'], outputs: ['z'] },
        ],
        outputs: { ...relu.outputs, z: 'float32[2]' },
      },
      [
        'Relu(x) y',
        'Cast(y) y_float32',
        'Neg(y_float32) c',
        'Cast(x) x_float32',
        'Add(x_float32, c) z_float32',
        'Cast(z_float32) z',
      ],
    ],
    [
      'gives one value to two outputs',
      {
        ...relu,
        outputs: { ...relu.outputs, z: 'float32[2]' },
        nodes: [
          cast('x', 'a', 10),
          { op: 'Relu', inputs: ['a'], outputs: ['b'] },
          cast('b', 'y', 1),
          cast('b', 'z', 1),
        ],
      },
      ['Relu(x) y', 'Cast(y) z_float32', 'Cast(z_float32) z'],
    ],
    [
      'casts a constant that is an output',
      {
        ...relu,
        outputs: { w: 'float32[2]' },
        nodes: [],
        initializers: { w: { dtype: 'float32', dims: [2], data: [1, 2] } },
      },
      ['Cast(w_float32) w'],
    ],
    [
      'lets bodies read what they read before',
      {
        inputs: { x: 'float32[2]', flag: 'bool[]' },
        outputs: relu.outputs,
        nodes: [
          {
            op: 'If',
            inputs: ['flag'],
            outputs: ['y'],
            attributes: { then_branch: branch('Relu'), else_branch: branch('Neg') },
          },
        ],
      },
      ['Cast(x) x_float32', 'If(flag) y_float32', 'Cast(y_float32) y'],
    ],
  ]

  test.each(cases)('%s', async (_, spec, expected) => {
    const graph = await loadGraph(saved(spec))
    castBindings(graph, new Set(['x', 'y', 'z', 'w']), { from: 'float32', to: 'float16' })
    expect(
      graph.proto.graph.node.map(({ opType, input, output }) => `${opType}(${input.join(', ')}) ${output.join(', ')}`),
    ).toEqual(expected)
    await writeGraph(graph, join(valid, `${count}.onnx`))
  })

  test.skipIf(!corpus)('the checker of the ONNX library finds the graph valid', async () => {
    expect(await checkModels(valid)).toEqual({})
  })
})

function branch(op: string) {
  return { graph: { name: op, outputs: { [op]: 'float32[2]' }, nodes: [{ op, inputs: ['x'], outputs: [op] }] } }
}
