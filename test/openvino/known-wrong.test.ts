import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile } from 'unplugin-onnx'
import { createModel, type Model } from 'unplugin-onnx/runtime'
import { describe, expect, test } from 'vitest'
import { refuseKnownWrong } from '../../plugin/backend/known-wrong.ts'
import { openvino } from '../../plugin/backend/openvino/backend.ts'
import { knownWrong } from '../../plugin/backend/openvino/known-wrong.ts'
import { runChild } from '../../plugin/child/run.ts'
import { loadGraph } from '../../plugin/onnx/graph.ts'
import { readModel } from '../../plugin/onnx/model.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import type { ModelManifest } from '../../runtime/manifest.ts'
import { factsOf, ortManifest } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'
import { type ModelSpec, onnxModel, sileroModels } from '../support/models.ts'
import { missingOpenVino, ocrModel, root } from '../support/openvino-models.ts'

const missing = missingOpenVino()
const folder = tempFolder()

const int64 = (...data: number[]) => ({ dtype: 'int64', dims: data.length === 1 ? [] : [data.length], data }) as const
const int32 = (value: number) =>
  ({ dtype: 'int32', dims: [], data: new Uint8Array(Int32Array.of(value).buffer) }) as const
const floats = (dims: number[], of: (index: number) => number) =>
  ({ dtype: 'float32', dims, data: Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => of(i)) }) as const
const ramp = (dims: readonly number[]) => ({
  dims,
  data: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, index) => Math.sin(index * index)),
})

const pool = (size: number, attributes: object): ModelSpec => ({
  opset: 19,
  inputs: { x: `float32[1,1,${size},${size}]` },
  outputs: { y: 'float32[1,1,?,?]' },
  nodes: [
    {
      op: 'AveragePool',
      inputs: ['x'],
      outputs: ['y'],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], ceil_mode: 1, ...attributes },
    },
  ],
})

const resize = (scale: number, mode: string, attributes: object = { antialias: 1 }): ModelSpec => ({
  opset: 19,
  inputs: { x: 'float32[1,1,16,16]' },
  outputs: { y: 'float32[1,1,?,?]' },
  nodes: [{ op: 'Resize', inputs: ['x', '', 'scales'], outputs: ['y'], attributes: { mode, ...attributes } }],
  initializers: { scales: { dtype: 'float32', dims: [4], data: [1, 1, scale, scale] } },
})

const integers = (op: string, constant: ModelSpec['initializers'], dtype = 'int64'): ModelSpec => ({
  inputs: { x: `${dtype}[n]` },
  outputs: { y: `${dtype}[n]` },
  nodes: [{ op, inputs: ['x', 'c'], outputs: ['y'] }],
  ...(constant && { initializers: constant }),
})

const topK = (dtype: string): ModelSpec => ({
  inputs: { x: `${dtype}[n,16]` },
  outputs: { v: 'float32[n,4]', i: 'int64[n,4]' },
  nodes: [
    { op: 'Cast', inputs: ['x'], outputs: ['f'], attributes: { to: 1 } },
    { op: 'TopK', inputs: ['f', 'k'], outputs: ['v', 'i'] },
  ],
  initializers: { k: { dtype: 'int64', dims: [1], data: [4] } },
})

interface Case extends ModelSpec {
  readonly kind: string
  /** The node that the error names. */
  readonly node: string
  readonly given: Parameters<Model['infer']>[0]
}

/** A smallest model for each row of the table, with inputs for which it is wrong. */
const cases: readonly Case[] = [
  {
    kind: 'RotaryEmbedding with position ids',
    node: 'y (RotaryEmbedding)',
    opset: 23,
    irVersion: 10,
    inputs: { x: 'float32[1,1,2,4]', pos: 'int64[1,2]' },
    outputs: { y: 'float32[1,1,2,4]' },
    nodes: [{ op: 'RotaryEmbedding', inputs: ['x', 'cos', 'sin', 'pos'], outputs: ['y'] }],
    initializers: { cos: floats([8, 2], Math.cos), sin: floats([8, 2], Math.sin) },
    given: { x: ramp([1, 1, 2, 4]), pos: { data: BigInt64Array.of(5n, 3n), dims: [1, 2] } },
  },
  {
    kind: 'AveragePool with a window over the edge',
    node: 'y (AveragePool)',
    ...pool(8, { count_include_pad: 1 }),
    given: { x: ramp([1, 1, 8, 8]) },
  },
  {
    kind: 'Resize cubic with antialias',
    node: 'y (Resize)',
    ...resize(0.4, 'cubic'),
    given: { x: ramp([1, 1, 16, 16]) },
  },
  {
    kind: 'Resize linear with antialias',
    node: 'y (Resize)',
    ...resize(0.4, 'linear'),
    given: { x: ramp([1, 1, 16, 16]) },
  },
  {
    kind: 'Resize cubic with exclude_outside',
    node: 'y (Resize)',
    ...resize(1.5, 'cubic', { exclude_outside: 1 }),
    given: { x: ramp([1, 1, 16, 16]) },
  },
  {
    kind: 'Resize with an aspect ratio to keep',
    node: 'y (Resize)',
    opset: 19,
    inputs: { x: 'float32[1,1,16,16]' },
    outputs: { y: 'float32[1,1,?,?]' },
    nodes: [
      {
        op: 'Resize',
        inputs: ['x', '', '', 'sizes'],
        outputs: ['y'],
        attributes: { mode: 'nearest', axes: [2, 3], keep_aspect_ratio_policy: 'not_larger' },
      },
    ],
    initializers: { sizes: int64(7, 8) },
    given: { x: ramp([1, 1, 16, 16]) },
  },
  {
    kind: 'uint8 inputs that are added',
    node: 'y (Add)',
    inputs: { x: 'uint8[n]' },
    outputs: { y: 'uint8[n]' },
    nodes: [{ op: 'Add', inputs: ['x', 'x'], outputs: ['y'] }],
    given: { x: { data: Uint8Array.of(1, 200), dims: [2] } },
  },
  {
    kind: 'an int8 input times a constant',
    node: 'y (Mul)',
    ...integers('Mul', { c: { dtype: 'int8', dims: [], data: Uint8Array.of(3) } }, 'int8'),
    given: { x: { data: Int8Array.of(1, 100), dims: [2] } },
  },
  {
    kind: 'TopK of bools, most of which are equal',
    node: 'v (TopK)',
    ...topK('bool'),
    given: { x: { data: Uint8Array.from({ length: 16 }, (_, index) => Number(index % 3 === 0)), dims: [1, 16] } },
  },
  {
    kind: 'int32 division by a number that float32 does not hold',
    node: 'y (Div)',
    ...integers('Div', { c: int32(16_777_217) }, 'int32'),
    given: { x: { data: Int32Array.of(16_777_216, 1), dims: [2] } },
  },
  {
    kind: 'the rest of an int64 division by a number that float32 does not hold',
    node: 'y (Mod)',
    ...integers('Mod', { c: int64(1_000_000_007) }),
    given: { x: { data: BigInt64Array.of(2_000_000_013n, 1n), dims: [2] } },
  },
  {
    kind: 'an int64 constant beyond 32 bits in arithmetic',
    node: 'y (Mul)',
    ...integers('Mul', { c: int64(2_654_435_761) }),
    given: { x: { data: BigInt64Array.of(1n, 3n), dims: [2] } },
  },
  {
    kind: 'a table of int64 numbers beyond 32 bits',
    node: 'y (Gather)',
    inputs: { x: 'int64[n]' },
    outputs: { y: 'int64[n]' },
    nodes: [{ op: 'Gather', inputs: ['table', 'x'], outputs: ['y'] }],
    initializers: { table: int64(5, 6_000_000_000) },
    given: { x: { data: BigInt64Array.of(1n, 0n), dims: [2] } },
  },
  {
    kind: 'a constant beyond 32 bits that becomes int64',
    node: 'c (Cast)',
    inputs: { x: 'int64[n]' },
    outputs: { y: 'int64[n]' },
    nodes: [
      { op: 'Cast', inputs: ['f'], outputs: ['c'], attributes: { to: 7 } },
      { op: 'Add', inputs: ['x', 'c'], outputs: ['y'] },
    ],
    initializers: { f: floats([], () => 5e9) },
    given: { x: { data: BigInt64Array.of(1n, 0n), dims: [2] } },
  },
]

const silent = () => {}

let count = 0
function write(spec: ModelSpec): string {
  const file = join(folder, `known${count++}.onnx`)
  writeFileSync(file, onnxModel(spec))
  return file
}

async function refusal(spec: ModelSpec, version = '2026.4.1-22982-e213a147257-releases/2026/4'): Promise<unknown> {
  const graph = await loadGraph(write(spec))
  return refuseKnownWrong('m', graph, { backend: 'openvino', version, knownWrong }).catch((error: unknown) => error)
}

describe('the table of what OpenVINO computes wrong', () => {
  test.each(cases)('$kind: the node is named with the reason', async (model) => {
    expect(await refusal(model)).toMatchObject({
      code: 'MODEL_UNSUPPORTED',
      message: expect.stringContaining(`m: node ${model.node} with openvino: OpenVINO `),
    })
  })

  test('each row has a model', async () => {
    const messages = await Promise.all(cases.map(async (model) => String(await refusal(model))))
    for (const { reason, operators } of knownWrong)
      expect(
        messages.filter((text) => text.includes(reason) && operators.some((name) => text.includes(`(${name})`))),
      ).not.toHaveLength(0)
  })

  test('a newer release is left to the comparison', async () => {
    expect(await refusal(cases[0]!, '2026.4.2-1-abc')).toBeUndefined()
    expect(await refusal(cases[0]!, '2027.0.0-1-abc')).toBeUndefined()
    expect(await refusal(cases[0]!, '2025.4.1-1-abc')).toBeDefined()
  })

  test.each<[string, ModelSpec]>([
    ['INT64_MAX as the end of a Slice', sliceTo('9223372036854775807')],
    ['2^32 as the end of a Slice', sliceTo('4294967296')],
    ['int64 arithmetic with small constants', integers('Mul', { c: int64(64) })],
    ['a day as a divisor', integers('Div', { c: int64(86_400) })],
    ['2^31 - 1 as a limit', integers('Min', { c: int64(2 ** 31 - 1) })],
    ['a TopK of scores', topK('float32')],
    ['a TopK of int64 numbers, which may all differ', topK('int64')],
    ['an AveragePool whose windows fit', pool(9, { count_include_pad: 1 })],
    ['an AveragePool that does not count its padding', pool(8, { count_include_pad: 0 })],
    ['a linear Resize', resize(0.4, 'linear', {})],
    ['a nearest Resize with antialias', resize(0.4, 'nearest')],
    ['a linear Resize with exclude_outside', resize(0.4, 'linear', { exclude_outside: 1 })],
    ['a cubic Resize to a larger size', resize(2, 'cubic')],
    ['bytes that are divided', integers('Div', { c: { dtype: 'uint8', dims: [], data: Uint8Array.of(3) } }, 'uint8')],
    ['bytes times one', integers('Mul', { c: { dtype: 'uint8', dims: [], data: Uint8Array.of(1) } }, 'uint8')],
    ['16-bit integers that wrap', integers('Add', { c: short(7) }, 'int16')],
  ])('%s is not refused', async (_, spec) => {
    expect(await refusal(spec)).toBeUndefined()
  })
})

describe('real nets', () => {
  test.each([
    ['the OCR detector', ocrModel('det_infer.onnx')],
    ['the OCR recogniser', ocrModel('rec_infer.onnx')],
    ['the OCR classifier', ocrModel('cls_infer.onnx')],
    ['Silero VAD', sileroModels.nested],
    ['Silero VAD for one rate', sileroModels.tuned],
  ])('%s is not refused', async (_, file) => {
    const compiler = { backend: 'openvino', version: '2026.4.1', knownWrong }
    await expect(refuseKnownWrong('m', await loadGraph(file), compiler)).resolves.toBeUndefined()
  })
})

function short(value: number) {
  return { dtype: 'int16', dims: [], data: new Uint8Array(Int16Array.of(value).buffer) } as const
}

function sliceTo(end: string): ModelSpec {
  return {
    inputs: { x: 'float32[n]' },
    outputs: { y: 'float32[?]' },
    nodes: [{ op: 'Slice', inputs: ['x', 'start', 'end'], outputs: ['y'] }],
    initializers: {
      start: { dtype: 'int64', dims: [1], data: [1] },
      end: { dtype: 'int64', dims: [1], data: new Uint8Array(BigInt64Array.of(BigInt(end)).buffer) },
    },
  }
}

describe.skipIf(missing)('a model of the table, with the real library', () => {
  // When this fails, OpenVINO computes it right: the row of the table goes.
  test.each(cases)('$kind: OpenVINO still computes it wrong', async (model) => {
    await using expected = createModel(await ortManifest(folder, `expected${count}`, model))
    await using received = createModel(await openvinoManifest(model))
    const [wanted, given] = [await expected.infer(model.given), await received.infer(model.given)]
    expect(given).not.toEqual(wanted)
    expect(largestDifference(given, wanted)).toBeGreaterThan(0.001)
  })

  const cache = { dir: join(folder, 'cache') }

  test('a build for it fails with the node and the reason, before anything is compiled', async () => {
    const options = { root: folder, backends: ['openvino'], verify: false, cache } as const
    await expect(compile(write(cases[1]!), options, { log: silent, warn: silent })).rejects.toMatchObject({
      code: 'MODEL_UNSUPPORTED',
      message: expect.stringMatching(/: node y \(AveragePool\) with openvino: OpenVINO divides windows/),
      hint: 'Use another backend for this model',
    })
  })

  test('a build for any backend leaves OpenVINO out with one line', async () => {
    const warnings: string[] = []
    const { variants } = await compile(
      write(cases[1]!),
      { root: folder, cache },
      {
        log: silent,
        warn: (line) => warnings.push(line),
      },
    )
    expect(new Set(variants.map(({ backend }) => backend))).toEqual(new Set(['onnxruntime']))
    expect(warnings).toEqual([expect.stringContaining('built without openvino: ')])
    expect(warnings[0]).toContain('node y (AveragePool)')
  })
})

/** Compiles a model as a build does, without looking at the table and without a comparison. */
async function openvinoManifest(spec: ModelSpec): Promise<ModelManifest> {
  const model = await readModel(write(spec))
  const options = compileOptions(resolveOptions({ backends: ['openvino'] }, root), { file: model.file, query: {} })
  const found = await openvino.probe(options, root)
  if (!found.available) throw new Error(found.reason)
  const [plan] = openvino.plan(model, options, found)
  const output = `${model.file}.blob`
  await runChild(plan!.worker, { name: 'm', model: model.file, output, settings: plan!.settings }, { modelBytes: 1 })
  const variant = { backend: 'openvino', engine: 'fp32', file: output, ...factsOf(output), requires: plan!.requires }
  return { schema: 1, name: 'm', bindings: model.bindings, variants: [variant as ModelManifest['variants'][number]] }
}

function largestDifference(given: object, wanted: object): number {
  const others = numbersOf(given)
  return Math.max(...numbersOf(wanted).map((value, index) => Math.abs(value - (others[index] ?? Infinity))))
}

function numbersOf(outputs: object): readonly number[] {
  return Object.values(outputs).flatMap(({ data }: { data: ArrayLike<number> }) => Array.from(data, Number))
}
