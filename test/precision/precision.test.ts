import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import { compile, type Compiled, type Options } from 'unplugin-onnx'
import { describe, expect, test } from 'vitest'
import { openStore } from '../../plugin/cache/store.ts'
import { loadGraph, scopesOf } from '../../plugin/onnx/graph.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import type { ChoiceLimits } from '../../plugin/precision/half/choose-nodes.ts'
import { lowerGraph } from '../../plugin/precision/half/lower-graph.ts'
import { roundToHalf } from '../../plugin/precision/half/rounding.ts'
import { findBlame, type Trials } from '../../plugin/verify/blame.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel, scalar, type GraphSpec, type ModelSpec } from '../support/models.ts'
import { unround } from '../support/samples.ts'

const folder = tempFolder()
let count = 0

/** Compiles a model for the CPU, and gives the lines that were logged with it. */
async function build(spec: ModelSpec, options: Options): Promise<Compiled & { readonly lines: readonly string[] }> {
  const file = join(folder, `model${++count}.onnx`)
  writeFileSync(file, onnxModel(spec))
  const lines: string[] = []
  const compiled = await compile(
    file,
    { backends: ['onnxruntime'], cache: { dir: join(folder, 'cache') }, ...options },
    { log: (line) => lines.push(line) },
  )
  return { ...compiled, lines }
}

async function run({ variants }: Compiled, x: Float32Array, dims: readonly number[]): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(readFileSync(variants[0]!.artifact.file), { logSeverityLevel: 3 })
  const { y } = await session.run({ x: new ort.Tensor('float32', x, dims) })
  return y!.data as Float32Array
}

/** Repeatable values between -1 and 1. */
function values(length: number, scale = 1): Float32Array {
  let state = 1
  return Float32Array.from({ length }, () => {
    state = (state * 48271) % 2147483647
    return (state / 1073741823.5 - 1) * scale
  })
}

function product(weight: Float32Array, opset = 17): ModelSpec {
  return {
    opset,
    inputs: { x: 'float32[1,64]' },
    outputs: { y: 'float32[1,64]' },
    nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
    initializers: { w: { dtype: 'float32', dims: [64, 64], data: [...weight] } },
  }
}

describe('rounding to 16 bits', () => {
  test.each([
    [
      'float16',
      [1, -2, 0.1, 65504, 65519, 65520, 1e-8, 5.9604645e-8, 6.1e-5, 2049, 2051, Infinity, NaN, -0],
      [
        1,
        -2,
        0.0999755859375,
        65504,
        65504,
        Infinity,
        0,
        2 ** -24,
        6.097555160522461e-5,
        2048,
        2052,
        Infinity,
        NaN,
        -0,
      ],
    ],
    [
      'bfloat16',
      [1, -2, 0.1, 65504, 257, 259, 3.4e38, Infinity, NaN, -0],
      [1, -2, 0.10009765625, 65536, 256, 260, Infinity, Infinity, NaN, -0],
    ],
  ] as const)('%s rounds to the nearest, ties to even', (dtype, given, expected) => {
    expect([...unround(roundToHalf[dtype](Float32Array.from(given)), dtype)]).toEqual([...expected])
  })
})

describe.each([
  ['fp16', 'float16'],
  ['bf16', 'bfloat16'],
] as const)('%s on the CPU', (engine, dtype) => {
  test('the engine stores half the bytes, and computes in fp32 with rounded weights', async () => {
    const weight = values(64 * 64)
    const [full, half] = [await build(product(weight), { engine: 'fp32' }), await build(product(weight), { engine })]
    expect(half.variants[0]!.artifact.size).toBeLessThan(0.6 * statSync(join(folder, `model${count}.onnx`)).size)
    const rounded = await build(product(unround(roundToHalf[dtype](weight), dtype)), { engine: 'fp32' })
    const x = values(64)
    expect(await run(half, x, [1, 64])).toEqual(
      await run({ ...rounded, variants: rounded.variants.slice(-1) }, x, [1, 64]),
    )
    expect(full.variants[0]!.artifact.key.digest).not.toBe(half.variants[0]!.artifact.key.digest)
  })
})

/** Ones on the diagonal, which float16 holds exactly, and another value beside it. */
function diagonal(value: number): number[] {
  const row = [1, value, ...Array<number>(63).fill(0)]
  return Array.from({ length: 64 * 64 }, (_, i) => row[i % 65]!)
}

async function importLines(): Promise<readonly string[]> {
  const store = openStore({ dir: join(folder, 'cache'), maxSize: Infinity, maxAge: Infinity, warn: () => {} })
  return (await store.imports()).map(({ importKey, reason }) => `${importKey}: ${reason}`)
}

/**
 * A model with these nodes, lowered to compute in 16 bits: its graph as text, one line for each node, and the report.
 */
async function lowered(
  spec: ModelSpec,
  limits: Partial<ChoiceLimits> = {},
): Promise<{ nodes: string[]; kept: Record<string, string>; file: string }> {
  const file = join(folder, `model${++count}.onnx`)
  writeFileSync(file, onnxModel(spec))
  const graph = await loadGraph(file)
  const { kept } = await lowerGraph(graph, {
    dtype: 'float16',
    maxValue: 4096,
    maxDepth: Infinity,
    pinned: new Set(),
    ...limits,
  })
  await writeGraph(graph, `${file}.lowered`)
  const nodes = graph.proto.graph.node.map(
    ({ opType, input, output }) => `${opType}(${input.join(', ')}) ${output.join(', ')}`,
  )
  return { nodes, kept: Object.fromEntries(kept.map(({ name, reason }) => [name, reason])), file: `${file}.lowered` }
}

const io = { inputs: { x: 'float32[2,4]' }, outputs: { y: 'float32[2,4]' } } as const

function scaledBody(op: string): { graph: GraphSpec } {
  return {
    graph: {
      name: op,
      outputs: { [`${op}_out`]: 'float32[2,4]' },
      nodes: [
        { op, inputs: ['x'], outputs: [`${op}_mid`] },
        { op: 'Mul', inputs: [`${op}_mid`, 'a'], outputs: [`${op}_out`] },
      ],
    },
  }
}

function bodyOf(op: string): { graph: GraphSpec } {
  return {
    graph: {
      name: op,
      outputs: { [`${op}_out`]: 'float32[2,4]' },
      nodes: [{ op, inputs: ['a'], outputs: [`${op}_out`] }],
    },
  }
}

describe('graph that computes in fp16', () => {
  test('a value that changes its dtype has one cast, and constants have the new dtype', async () => {
    const { nodes } = await lowered({
      ...io,
      nodes: [
        { op: 'Mul', inputs: ['x', 'w'], outputs: ['a'] },
        { op: 'Add', inputs: ['a', 'x'], outputs: ['b'] },
        { op: 'Transpose', inputs: ['b'], outputs: ['c'], attributes: { perm: [0, 1] } },
        { op: 'Mul', inputs: ['c', 'w'], outputs: ['y'] },
      ],
      initializers: { w: scalar(2) },
    })
    expect(nodes).toEqual([
      'Cast(x) x_float16',
      'Mul(x_float16, w_float16) a_float16',
      'Add(a_float16, x_float16) b_float16',
      'Transpose(b_float16) c_float16',
      'Mul(c_float16, w_float16) y_float16',
      'Cast(y_float16) y',
    ])
  })

  test('readers of a mask of -1e9 stay in fp32, up to the softmax that makes it small', async () => {
    const { kept, nodes } = await lowered({
      ...io,
      nodes: [
        { op: 'Mul', inputs: ['x', 'large'], outputs: ['mask'] },
        { op: 'Relu', inputs: ['x'], outputs: ['scores'] },
        { op: 'Add', inputs: ['scores', 'mask'], outputs: ['masked'] },
        { op: 'Softmax', inputs: ['masked'], outputs: ['share'] },
        { op: 'Mul', inputs: ['share', 'two'], outputs: ['y'] },
      ],
      initializers: { large: scalar(-1e9), two: scalar(2) },
    })
    expect(kept).toEqual({
      mask: 'its constant large holds 1.00e+9, beyond the range of float16',
      masked: 'its input mask may be beyond the range of float16',
      share: 'its input masked may be beyond the range of float16',
    })
    expect(nodes).toContain('Mul(share_float16, two_float16) y_float16')
  })

  test('NaN, infinity, and an epsilon under a root stay in fp32', async () => {
    const { kept } = await lowered({
      ...io,
      nodes: [
        { op: 'Add', inputs: ['x', 'epsilon'], outputs: ['a'] },
        { op: 'Sqrt', inputs: ['a'], outputs: ['b'] },
        { op: 'Div', inputs: ['x', 'b'], outputs: ['c'] },
        { op: 'Max', inputs: ['c', 'least'], outputs: ['d'] },
        { op: 'Sigmoid', inputs: ['x'], outputs: ['y'] },
      ],
      initializers: { epsilon: scalar(1e-12), least: scalar(-Infinity) },
    })
    expect(kept).toEqual({
      a: 'its constant epsilon holds nothing above 1.00e-12, too small for float16',
      b: 'its input may be too small for float16',
      c: 'its input may be too small for float16',
      d: 'its constant least holds NaN or infinity',
    })
  })

  test('a value that is cast already has no second cast', async () => {
    const { nodes } = await lowered({
      inputs: { x: 'float32[2,4]', flag: 'bool[2,4]', half: 'float16[2,4]' },
      outputs: { y: 'float32[2,4]', z: 'float16[2,4]' },
      nodes: [
        { op: 'Cast', inputs: ['flag'], outputs: ['one'], attributes: { to: 1 } },
        { op: 'Cast', inputs: ['half'], outputs: ['wider'], attributes: { to: 1 } },
        { op: 'Mul', inputs: ['one', 'wider'], outputs: ['product'] },
        { op: 'Cast', inputs: ['product'], outputs: ['narrow'], attributes: { to: 10 } },
        { op: 'Neg', inputs: ['narrow'], outputs: ['z'] },
        { op: 'Add', inputs: ['product', 'x'], outputs: ['y'] },
      ],
    })
    expect(nodes).toEqual([
      'Cast(flag) one_float16',
      'Mul(one_float16, half) product_float16',
      'Neg(product_float16) z',
      'Cast(x) x_float16',
      'Add(product_float16, x_float16) y_float16',
      'Cast(y_float16) y',
    ])
  })

  test('the branches of an If are lowered, and what they read is cast once, outside', async () => {
    const { nodes, kept, file } = await lowered({
      inputs: { x: 'float32[2,4]', flag: 'bool[]' },
      outputs: { y: 'float32[2,4]' },
      nodes: [
        { op: 'Relu', inputs: ['x'], outputs: ['a'] },
        {
          op: 'If',
          inputs: ['flag'],
          outputs: ['b'],
          attributes: { then_branch: scaledBody('Sigmoid'), else_branch: scaledBody('Neg') },
        },
        { op: 'Mul', inputs: ['a', 'b'], outputs: ['y'] },
      ],
    })
    expect(kept).toEqual({})
    expect(nodes).toEqual([
      'Cast(x) x_float16',
      'Relu(x_float16) a_float16',
      'If(flag) b_float16',
      'Mul(a_float16, b_float16) y_float16',
      'Cast(y_float16) y',
    ])
    const [, yes, no] = scopesOf(await loadGraph(file)).map(({ graph }) =>
      graph.node.map(({ opType, input }) => `${opType}(${input.join(', ')})`),
    )
    expect([yes, no]).toEqual([
      ['Sigmoid(x_float16)', 'Mul(Sigmoid_mid_float16, a_float16)'],
      ['Neg(x_float16)', 'Mul(Neg_mid_float16, a_float16)'],
    ])
    const session = await ort.InferenceSession.create(file, { logSeverityLevel: 3 })
    const { y } = await session.run({
      x: new ort.Tensor('float32', [0, 1, 2, 3, 0, 1, 2, 3], [2, 4]),
      flag: new ort.Tensor('bool', [false], []),
    })
    expect([...(y!.data as Float32Array)]).toEqual([-0, -1, -8, -27, -0, -1, -8, -27])
  })

  test('the result of an If stays in fp32 where a branch needs it, as the bodies of Loop and Scan do', async () => {
    const { nodes, kept } = await lowered({
      inputs: { x: 'float32[2,4]', flag: 'bool[]' },
      outputs: { y: 'float32[2,4]' },
      nodes: [
        { op: 'Relu', inputs: ['x'], outputs: ['a'] },
        {
          op: 'If',
          inputs: ['flag'],
          outputs: ['b'],
          attributes: { then_branch: bodyOf('Exp'), else_branch: bodyOf('Neg') },
        },
        { op: 'Mul', inputs: ['a', 'b'], outputs: ['y'] },
      ],
    })
    expect(kept).toEqual({
      Exp_out: 'may overflow float16; samples do not cover branches',
      b: 'one of its branches returns fp32',
      y: 'its input b may be beyond the range of float16',
    })
    expect(nodes).toEqual([
      'Cast(x) x_float16',
      'Relu(x_float16) a_float16',
      'Cast(a_float16) a',
      'If(flag) b',
      'Mul(a, b) y',
    ])
    const step = {
      name: 'step',
      inputs: { s: 'float32[4]', e: 'float32[4]' },
      outputs: { t: 'float32[4]', u: 'float32[4]' },
      nodes: [
        { op: 'Add', inputs: ['s', 'e'], outputs: ['t'] },
        { op: 'Neg', inputs: ['t'], outputs: ['u'] },
      ],
    }
    const scan = await lowered({
      ...io,
      initializers: { zero: { dtype: 'float32', dims: [4], data: [0, 0, 0, 0] } },
      nodes: [
        {
          op: 'Scan',
          inputs: ['zero', 'x'],
          outputs: ['end', 'y'],
          attributes: { num_scan_inputs: 1, body: { graph: step } },
        },
      ],
    })
    expect(scan.kept).toEqual({ end: 'its bodies stay in fp32' })
  })

  test('a quantized graph, or one with fp16 weights, stays as it is', async () => {
    const quantize = { op: 'QuantizeLinear', inputs: ['x', 'one', 'zero'], outputs: ['q'] }
    const quantized = await lowered({
      ...io,
      nodes: [
        quantize,
        { op: 'DequantizeLinear', inputs: ['q', 'one', 'zero'], outputs: ['d'] },
        { op: 'Relu', inputs: ['d'], outputs: ['y'] },
      ],
      initializers: { one: scalar(1), zero: { dtype: 'uint8', dims: [], data: Uint8Array.of(0) } },
    })
    expect(quantized.nodes).toEqual(['QuantizeLinear(x, one, zero) q', 'DequantizeLinear(q, one, zero) d', 'Relu(d) y'])
    const halves = await lowered({
      ...io,
      nodes: [
        { op: 'Cast', inputs: ['half'], outputs: ['w'], attributes: { to: 1 } },
        { op: 'Mul', inputs: ['x', 'w'], outputs: ['y'] },
      ],
      initializers: { half: { dtype: 'float16', dims: [1], data: Uint8Array.of(0, 0x3c) } },
    })
    expect(halves.nodes).toEqual(['Cast(half) w', 'Mul(x, w) y'])
  })

  test('unknown operators, and nodes that the user names, stay in fp32', async () => {
    const { kept } = await lowered(
      {
        ...io,
        nodes: [
          { op: 'Relu', inputs: ['x'], outputs: ['a'], name: 'first' },
          { op: 'FastGelu', domain: 'com.microsoft', inputs: ['a'], outputs: ['b'] },
          { op: 'Relu', inputs: ['b'], outputs: ['y'], name: 'last' },
        ],
        values: { b: 'float32[2,4]' },
      },
      { pinned: new Set(['first']) },
    )
    expect(kept).toEqual({ first: 'pinned to fp32', b: 'operators of the domain com.microsoft are unknown' })
    const unknown = await lowered({
      ...io,
      nodes: [
        { op: 'Relu', inputs: ['x'], outputs: ['a'] },
        { op: 'Frobnicate', inputs: ['a'], outputs: ['b'] },
        { op: 'Relu', inputs: ['b'], outputs: ['y'] },
      ],
    })
    expect(unknown.kept).toEqual({ b: 'there is no rule for its dtypes in opset 17', y: 'the dtype of b is unknown' })
    expect(unknown.nodes).toEqual([
      'Cast(x) x_float16',
      'Relu(x_float16) a_float16',
      'Cast(a_float16) a',
      'Frobnicate(a) b',
      'Relu(b) y',
    ])
  })

  test('an operator whose inner sum outgrows fp16 stays in fp32, and fp16 goes on behind it', async () => {
    const { kept } = await lowered({
      ...io,
      nodes: [
        { op: 'LRN', inputs: ['x'], outputs: ['a'], attributes: { size: 3 } },
        { op: 'Relu', inputs: ['a'], outputs: ['y'] },
      ],
    })
    expect(kept).toEqual({ a: 'may overflow float16; add samples to find out' })
  })

  test('samples show which values are too large for fp16', async () => {
    const spec: ModelSpec = {
      ...io,
      nodes: [
        { op: 'Exp', inputs: ['x'], outputs: ['a'] },
        { op: 'Sigmoid', inputs: ['a'], outputs: ['y'] },
      ],
    }
    expect((await lowered(spec)).kept).toEqual({
      a: 'may overflow float16; add samples to find out',
      y: 'its input a may be beyond the range of float16',
    })
    expect(
      (
        await lowered(spec, {
          magnitudes: new Map([
            ['x', 3],
            ['a', 20],
            ['y', 3],
          ]),
        })
      ).kept,
    ).toEqual({})
    const large = 'a reaches 2.00e+4 on the samples'
    expect(
      (
        await lowered(spec, {
          magnitudes: new Map([
            ['x', 10],
            ['a', 20_000],
            ['y', 10],
          ]),
        })
      ).kept,
    ).toEqual({ a: large, y: large })
  })

  test('samples show the result of a branch, but nothing inside it', async () => {
    const spec: ModelSpec = {
      inputs: { x: 'float32[2,4]', flag: 'bool[]' },
      outputs: { y: 'float32[2,4]' },
      nodes: [
        { op: 'Relu', inputs: ['x'], outputs: ['a'] },
        {
          op: 'If',
          inputs: ['flag'],
          outputs: ['b'],
          attributes: { then_branch: bodyOf('Exp'), else_branch: bodyOf('Neg') },
        },
        { op: 'Mul', inputs: ['a', 'b'], outputs: ['y'] },
      ],
    }
    const { kept, nodes } = await lowered(spec, {
      magnitudes: new Map([
        ['x', 1],
        ['a', 1],
        ['b', 3],
        ['y', 3],
      ]),
    })
    expect(kept).toEqual({
      Exp_out: 'may overflow float16; samples do not cover branches',
      b: 'one of its branches returns fp32',
    })
    expect(nodes).toContain('Mul(a_float16, b_float16) y_float16')
  })
})

describe('verification', () => {
  const spec = product(values(64 * 64))

  test('verification is on by default, logs its inputs, and is not repeated on a hit', async () => {
    const { lines, variants } = await build(spec, { engine: 'fp16' })
    expect(lines.at(-1)).toMatch(
      /fp16 {2}onnxruntime: 100% of 1 weights lowered, 0 kept, size 0\.\d\dx, max abs \d\.\de-\d, cosine 1\.00000, argmax 100% \(random inputs\)$/,
    )
    expect(variants[0]!.report?.verification).toMatchObject({
      emulated: false,
      failures: [],
      outputs: [{ name: 'y', nonFinite: 0 }],
    })
    const known = await importLines()
    const again = await compile(join(folder, `model${count}.onnx`), {
      backends: ['onnxruntime'],
      engine: 'fp16',
      cache: { dir: join(folder, 'cache') },
    })
    expect(again.variants[0]).toMatchObject({ cache: { hit: true }, report: variants[0]!.report })
    expect(await importLines()).toEqual(known)
  })

  test('verify: false skips the comparison', async () => {
    const { lines, variants } = await build(spec, { engine: 'fp16', verify: false })
    expect(lines.at(-1)).toMatch(/size 0\.\d\dx, not verified: the option 'verify' is false$/)
    expect(variants[0]!.report?.verification).toBeNull()
  })

  const chain: ModelSpec = {
    inputs: { x: 'float32[1,64]' },
    outputs: { y: 'float32[1,64]' },
    nodes: [
      { op: 'MatMul', inputs: ['x', 'exact'], outputs: ['a'] },
      { op: 'MatMul', inputs: ['a', 'coarse'], outputs: ['b'] },
      { op: 'Sub', inputs: ['b', 'a'], outputs: ['c'] },
      { op: 'Mul', inputs: ['c', 'large'], outputs: ['y'] },
    ],
    initializers: {
      exact: { dtype: 'float32', dims: [64, 64], data: diagonal(0) },
      coarse: { dtype: 'float32', dims: [64, 64], data: diagonal(1 / 3) },
      large: { dtype: 'float32', dims: [], data: [1e6] },
    },
  }

  test('a failed comparison is an error with a table and the nodes to blame', async () => {
    const failure = build(chain, { engine: 'fp16', verify: { atol: 1 } })
    await expect(failure).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' })
    await expect(failure).rejects.toThrow(
      /output "y" has \d+ elements beyond atol and rtol\n {2}y {2}max abs .*\nKeeping these in fp32 fixes it: coarse \(read by MatMul b\)\n/,
    )
  })

  test('autoPin pins the nodes to blame', async () => {
    const { lines, variants } = await build(chain, {
      engine: 'fp16',
      verify: { atol: 1 },
      precision: { autoPin: true },
    })
    expect(lines).toContainEqual(expect.stringMatching(/: pinned to fp32: coarse$/))
    expect(variants[0]!.report?.lowering).toMatchObject({
      total: 2,
      lowered: 1,
      kept: [{ name: 'coarse', operator: 'initializer', reason: 'pinned to fp32' }],
    })
    expect(variants[0]!.report?.verification?.failures).toEqual([])
  })

  test('a wrong scale fails, although the cosine is right', async () => {
    const tiny: ModelSpec = {
      ...product(Float32Array.from({ length: 64 * 64 }, (_, i) => (i === 0 ? 1 : 1e-7))),
      nodes: [
        { op: 'MatMul', inputs: ['x', 'w'], outputs: ['a'] },
        { op: 'Mul', inputs: ['a', 'scale'], outputs: ['y'] },
      ],
    }
    const scale = {
      dtype: 'float32',
      dims: [64],
      data: Array.from({ length: 64 }, (_, i) => (i === 0 ? 0 : 1e7)),
    } as const
    await expect(build({ ...tiny, initializers: { ...tiny.initializers, scale } }, { engine: 'fp16' })).rejects.toThrow(
      /output "y" is 1\.19\d times as large as in fp32, more than 0\.14 off/,
    )
  })

  test('a comparison without time left gives up', async () => {
    await expect(build(spec, { engine: 'fp16', verify: { timeout: 1 } })).rejects.toThrow(
      /expected a comparison within 0\.001 s/,
    )
  })

  test('a model without possible random inputs is not verified, with the reason', async () => {
    const { lines } = await build({ ...product(values(64 * 64)), inputs: { x: 'float32' } }, { engine: 'fp16' })
    expect(lines.at(-1)).toMatch(
      /not verified: the fp32 model does not run on random inputs: an input has an unknown rank/,
    )
  })

  test('outputs that are not finite in fp32 already do not fail an engine', async () => {
    const { variants } = await build(
      {
        ...product(values(64 * 64)),
        nodes: [
          { op: 'MatMul', inputs: ['x', 'w'], outputs: ['a'] },
          { op: 'Sqrt', inputs: ['a'], outputs: ['y'] },
        ],
      },
      { engine: 'fp16' },
    )
    expect(variants[0]!.report?.verification).toMatchObject({ failures: [] })
    expect(variants[0]!.report?.verification?.outputs[0]!.nonFinite).toBeGreaterThan(0)
  })

  test('keepOnnx writes the lowered graph and the report', async () => {
    await build(spec, { engine: 'fp16', keepOnnx: join(folder, 'kept') })
    const name = join(folder, 'kept', `model${count}.fp16.onnxruntime`)
    expect(JSON.parse(readFileSync(`${name}.json`, 'utf8'))).toMatchObject({
      engine: 'fp16',
      lowering: { lowered: 1 },
      verification: { failures: [] },
    })
    const session = await ort.InferenceSession.create(`${name}.onnx`)
    expect(session.outputNames).toEqual(['y'])
  })
})

/** Whose errors tell no more than that something is wrong. */
function trials(isFine: Trials['isFine']): Trials {
  return { isFine, errorOf: async (pinned) => ((await isFine(pinned)) ? 0 : Infinity) }
}

describe('search for nodes to blame', () => {
  const names = Array.from({ length: 100 }, (_, i) => `n${i}`)

  test.each([
    ['one of a hundred', ['n42']],
    ['two that are both needed', ['n3', 'n97']],
    ['three neighbours', ['n10', 'n11', 'n12']],
  ])('the search finds %s', async (_, culprits) => {
    let calls = 0
    const blamed = await findBlame(
      names,
      trials(async (pinned) => {
        calls++
        return culprits.every((culprit) => pinned.includes(culprit))
      }),
    )
    expect(blamed).toEqual({ names: names.filter((name) => culprits.includes(name)), spread: [] })
    expect(calls).toBeLessThan(40)
  })

  test('no node is blamed when nothing helps, or nothing is wrong', async () => {
    expect(
      await findBlame(
        names,
        trials(async () => false),
      ),
    ).toEqual({ names: [], spread: [] })
    expect(
      await findBlame(
        names,
        trials(async () => true),
      ),
    ).toEqual({ names: [], spread: [] })
  })

  test.each([
    ['evenly', () => 1, 0.5, 14],
    ['unevenly', (index: number) => 1 + index / 50, 0.5, 14],
    ['over the first half', (index: number) => (index < 50 ? 1 : 0.01), 0.2, 26],
  ])('the search stops soon when the loss is spread %s', async (_, weightOf, allowed, most) => {
    const weights = new Map(names.map((name, index) => [name, weightOf(index)]))
    const whole = [...weights.values()].reduce((sum, weight) => sum + weight)
    let calls = 0
    const errorOf = async (pinned: readonly string[]) => {
      calls++
      return pinned.reduce((rest, name) => rest - weights.get(name)!, whole)
    }
    const { names: needed, spread } = await findBlame(names, {
      errorOf,
      isFine: async (pinned) => (await errorOf(pinned)) <= allowed * whole,
    })
    expect(calls).toBeLessThanOrEqual(most)
    expect(needed.length).toBeGreaterThan(25)
    expect(await errorOf(needed)).toBeLessThanOrEqual(allowed * whole)
    expect(spread).toHaveLength(3)
    expect(spread[0]).toMatchObject({
      count: 13,
      share: expect.closeTo(
        [...weights.values()]
          .slice(names.indexOf(spread[0]!.first))
          .slice(0, 13)
          .reduce((sum, weight) => sum + weight) / whole,
        5,
      ),
    })
  })

  test('a few culprits are found among nodes that all lose a little', async () => {
    const culprits = ['n5', 'n40', 'n77']
    let calls = 0
    const loss = (name: string) => (culprits.includes(name) ? 5 : 0.01)
    const errorOf = async (pinned: readonly string[]) => {
      calls++
      return names.filter((name) => !pinned.includes(name)).reduce((sum, name) => sum + loss(name), 0)
    }
    const blamed = await findBlame(names, { errorOf, isFine: async (pinned) => (await errorOf(pinned)) < 2 })
    expect(blamed).toEqual({ names: culprits, spread: [] })
    expect(calls).toBeLessThan(48)
  })
})
