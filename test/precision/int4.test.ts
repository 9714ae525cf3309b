import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { loadGraph, scopesOf } from '../../plugin/onnx/graph.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import type { Options } from '../../plugin/options/types.ts'
import { type BlockLayout, packed, quantizeBlocks } from '../../plugin/precision/int4/blocks.ts'
import { int4WeightsPass } from '../../plugin/precision/int4/pass.ts'
import type { Lowered, PassRequest } from '../../plugin/precision/pass.ts'
import type { BackendName } from '../../runtime/manifest.ts'
import { tempFolder } from '../support/helpers.ts'
import { floats } from '../support/int8-graphs.ts'
import { type ModelSpec, onnxModel } from '../support/models.ts'
import { build, type Built, missingOpenVino } from '../support/openvino-models.ts'
import { cosine, normal } from '../support/samples.ts'
import { missingTensorRtRtx } from '../support/tensorrt-library.ts'

const folder = tempFolder()

/** What a transformer has: an embedding, products in both directions, a Gemm with a bias; and a small product. */
const net: ModelSpec = {
  opset: 17,
  inputs: { tokens: 'int64[1,16]' },
  outputs: { y: 'float32[16,64]' },
  nodes: [
    { op: 'Gather', inputs: ['table', 'tokens'], outputs: ['e'] },
    { op: 'MatMul', inputs: ['e', 'up'], outputs: ['u'], name: 'up' },
    { op: 'Tanh', inputs: ['u'], outputs: ['t'] },
    { op: 'MatMul', inputs: ['t', 'down'], outputs: ['d'], name: 'down' },
    { op: 'Add', inputs: ['d', 'e'], outputs: ['s'] },
    { op: 'Reshape', inputs: ['s', 'flat'], outputs: ['f'] },
    { op: 'Gemm', inputs: ['f', 'head', 'b'], outputs: ['h'], name: 'head', attributes: { transB: 1 } },
    { op: 'MatMul', inputs: ['h', 'narrow'], outputs: ['n'], name: 'narrow' },
    { op: 'MatMul', inputs: ['n', 'wide'], outputs: ['y'], name: 'wide' },
  ],
  initializers: {
    table: floats([1024, 128], 1, 0.5),
    up: floats([128, 256], 2, 0.1),
    down: floats([256, 128], 3, 0.1),
    head: floats([128, 128], 4, 0.1),
    b: floats([128], 5),
    flat: { dtype: 'int64', dims: [2], data: [16, 128] },
    narrow: floats([128, 33], 6, 0.1),
    // Rows of 33 numbers are no blocks.
    wide: floats([33, 64], 7, 0.2),
  },
}

const file = write('net', net)

function write(name: string, model: ModelSpec): string {
  const path = join(folder, `${name}.onnx`)
  writeFileSync(path, onnxModel(model))
  return path
}

/** Lowers a model for a backend. */
async function lowered(
  path: string,
  backend: BackendName,
  fp32: readonly string[] = [],
): Promise<{ lowering: Lowered; operators: Record<string, number>; out: string }> {
  const graph = await loadGraph(path)
  const request = { backend, options: { precision: { fp32 } } } as Partial<PassRequest> as PassRequest
  const lowering = await int4WeightsPass.lower(graph, request)
  const out = join(folder, 'lowered.onnx')
  await writeGraph(graph, out)
  const operators: Record<string, number> = {}
  for (const { opType } of scopesOf(graph)[0]!.graph.node) operators[opType] = (operators[opType] ?? 0) + 1
  return { lowering, operators, out }
}

async function run(path: string): Promise<Float32Array> {
  const tokens = BigInt64Array.from(normal(16, 9), (value) => BigInt(Math.floor(Math.abs(value) * 200) % 1024))
  const session = await ort.InferenceSession.create(path, { logSeverityLevel: 4 })
  const { y } = await session.run({ tokens: new ort.Tensor('int64', tokens, [1, 16]) })
  await session.release()
  return y!.data as Float32Array
}

describe('blocks of 4 bits', () => {
  const layout: BlockLayout = { rows: 3, columns: 64, strides: { row: 64, column: 1 }, block: 32 }
  const values = normal(192, 3)

  function restored(numbers: Float32Array, symmetric: boolean, changed: Partial<BlockLayout> = {}): Float32Array {
    const { stored, scales, zeros } = quantizeBlocks(numbers, { ...layout, ...changed }, symmetric)!
    return Float32Array.from(stored, (level, at) => {
      const block = Math.floor(at / 32)
      return scales[block]! * (level - zeros[block]!)
    })
  }

  test.each([true, false])('are close to their numbers (symmetric: %s)', (symmetric) => {
    expect(cosine(values, restored(values, symmetric))).toBeGreaterThan(0.993)
  })

  test.each([
    ['multiples of a step', Float32Array.from({ length: 192 }, (_, at) => (at % 16) / 4 - 1), false],
    ['multiples of a step around zero', Float32Array.from({ length: 192 }, (_, at) => (at % 16) / 4 - 2), true],
    ['zeros', new Float32Array(192), false],
    ['zeros, symmetric', new Float32Array(192), true],
    ['one large number', new Float32Array(192).fill(-3.5, 40, 41), true],
    ['numbers of one sign', new Float32Array(192).fill(1.5), false],
  ])('hold %s exactly', (_, numbers, symmetric) => {
    expect([...restored(numbers, symmetric)]).toEqual([...numbers].map((value) => expect.closeTo(value, 6)))
  })

  test('of columns are those of the transposed matrix', () => {
    const turned = Float32Array.from({ length: 192 }, (_, at) => values[(at % 3) * 64 + Math.floor(at / 3)]!)
    expect(restored(turned, false, { strides: { row: 1, column: 3 } })).toEqual(restored(values, false))
  })

  test.each([NaN, Infinity])('of %s are refused', (value) => {
    expect(quantizeBlocks(values.with(70, value), layout, false)).toBeUndefined()
  })

  test('are packed two in a byte, and each row starts one', () => {
    expect([...packed(Uint8Array.of(1, 2, 3, 4, 5, 6), 3)]).toEqual([0x21, 0x03, 0x54, 0x06])
  })
})

describe('weights in 4 bits', () => {
  test.each<[backend: BackendName, operators: Record<string, number>]>([
    ['onnxruntime', { MatMulNBits: 4, GatherBlockQuantized: 1, MatMul: 1, DequantizeLinear: 1, Add: 2 }],
    ['wasm', { MatMulNBits: 4, GatherBlockQuantized: 1, MatMul: 1, DequantizeLinear: 1, Add: 2 }],
    ['openvino', { MatMul: 5, Gather: 1, DequantizeLinear: 6, Transpose: 4, Add: 2 }],
    ['tensorrt-rtx', { MatMul: 5, Gather: 1, DequantizeLinear: 6, Transpose: 4, Add: 2 }],
  ])('for %s have its operators, and its numbers are those of the model', async (backend, operators) => {
    const result = await lowered(file, backend)
    expect(result.operators).toMatchObject(operators)
    expect(result.lowering).toMatchObject({ unit: 'weights', total: 6, lowered: 6, kept: [], notes: [] })
    expect(cosine(await run(file), await run(result.out))).toBeGreaterThan(0.98)
  })

  test('stay in fp32 by the names of weights and of nodes', async () => {
    const { lowering, operators } = await lowered(file, 'onnxruntime', ['up', 'table', 'wide'])
    expect(operators).toMatchObject({ MatMulNBits: 3, Gather: 1, MatMul: 2 })
    expect(lowering.kept.map(({ name, reason }) => [name, reason])).toEqual([
      ['table', 'pinned to fp32'],
      ['up', 'pinned to fp32'],
    ])
    expect(lowering.changed).toEqual(['down', 'head', 'narrow'])
  })

  test('that are read by two products are stored once', async () => {
    const twice = write('twice', {
      inputs: { x: 'float32[1,128]' },
      outputs: { y: 'float32[1,128]' },
      nodes: [
        { op: 'MatMul', inputs: ['x', 'w'], outputs: ['h'] },
        { op: 'MatMul', inputs: ['h', 'w'], outputs: ['y'] },
      ],
      initializers: { w: floats([128, 128], 1, 0.1) },
    })
    const { operators, out } = await lowered(twice, 'onnxruntime')
    expect(operators).toEqual({ MatMulNBits: 2 })
    expect(statSync(out).size).toBeLessThan(statSync(twice).size / 5.5)
  })

  test.each<[title: string, model: ModelSpec, expected: Partial<Lowered>]>([
    [
      'a weight with NaN stays',
      { ...net, initializers: { ...net.initializers, up: { ...floats([128, 256], 2), data: nan(128 * 256) } } },
      { lowered: 5, kept: [{ name: 'up', operator: 'initializer', reason: 'not all of its numbers are finite' }] },
    ],
    [
      'matrices without whole blocks have a note, and 8 bits',
      {
        inputs: { x: 'float32[1,120]' },
        outputs: { y: 'float32[1,64]' },
        nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
        initializers: { w: floats([120, 64], 1) },
      },
      {
        lowered: 1,
        changed: ['w'],
        notes: ['has 1 large weight without whole blocks of 32 numbers, which do not become 4 bits'],
      },
    ],
    [
      'a model without matrices has a note',
      {
        inputs: { x: 'float32[4]' },
        outputs: { y: 'float32[4]' },
        nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }],
      },
      { lowered: 0, total: 0, notes: ['has no large constant matrices to store in 4 bits'] },
    ],
    [
      'a model that is quantized already stays as it is',
      {
        inputs: { x: 'float32[4]' },
        outputs: { y: 'uint8[4]' },
        nodes: [{ op: 'QuantizeLinear', inputs: ['x', 's'], outputs: ['y'] }],
        initializers: { s: { dtype: 'float32', dims: [], data: [1] } },
      },
      { lowered: 0, notes: ['is already quantized (QuantizeLinear), so it stays as it is'] },
    ],
  ])('%s', async (_, model, expected) => {
    expect((await lowered(write('odd', model), 'onnxruntime')).lowering).toMatchObject(expected)
  })

  test('of a model that opset 21 cannot express are refused by the name of its node', async () => {
    const old = write('old', {
      ...net,
      opset: 18,
      nodes: [
        ...net.nodes,
        {
          op: 'GroupNormalization',
          inputs: ['e', 'g', 'g'],
          outputs: ['z'],
          name: 'norm',
          attributes: { num_groups: 1 },
        },
      ],
      initializers: { ...net.initializers, g: floats([1], 1) },
    })
    await expect(lowered(old, 'openvino')).rejects.toMatchObject({
      code: 'PRECISION_UNSUPPORTED',
      message: expect.stringContaining('node "norm" (GroupNormalization)'),
    })
  })
})

function nan(length: number): number[] {
  return [NaN, ...normal(length - 1)]
}

const engines: readonly (readonly [name: string, missing: string | undefined, options: Options])[] = [
  ['onnxruntime', undefined, { backends: ['onnxruntime'] }],
  ['openvino', missingOpenVino(), { backends: ['openvino'] }],
  ['tensorrt-rtx', missingTensorRtRtx(), { backends: ['tensorrt-rtx'], targets: ['sm89'] }],
]

describe('an int4-weights engine', () => {
  for (const [name, missing, options] of engines) {
    test.skipIf(missing)(`of ${name} is smaller than one of int8-weights, and verified`, async () => {
      const narrow = await build(folder, file, { ...options, types: false, engine: 'int4-weights' })
      const wide = await build(folder, file, { ...options, types: false, engine: 'int8-weights' })
      expect(narrow.lines.join('\n')).toMatch(/100% of 6 weights lowered.*cosine 0\.9[89]/)
      expect(sizeOf(narrow)).toBeLessThan(0.8 * sizeOf(wide))
    })
  }
})

function sizeOf({ compiled }: Built): number {
  return compiled.variants[0]!.artifact.size
}
