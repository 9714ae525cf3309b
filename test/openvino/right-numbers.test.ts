import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile } from 'unplugin-onnx'
import { describe, expect, test } from 'vitest'
import { tempFolder } from '../support/helpers.ts'
import { type ModelSpec, onnxModel } from '../support/models.ts'
import { missingOpenVino } from '../support/openvino-models.ts'

const missing = missingOpenVino()
const folder = tempFolder()
let count = 0

const int64 = (...data: number[]) => ({ dtype: 'int64', dims: data.length === 1 ? [] : [data.length], data }) as const
const angles = Array.from({ length: 64 * 8 }, (_, index) => Math.floor(index / 8) / 10_000 ** ((index % 8) / 8))
const angleTable = (of: (angle: number) => number) =>
  ({ dtype: 'float32', dims: [64, 8], data: angles.map(of) }) as const

/** Kinds of models that OpenVINO 2026.4 computes wrong without a word. */
const wrong: readonly (ModelSpec & { readonly kind: string; readonly node: string })[] = [
  {
    kind: 'RotaryEmbedding with position ids',
    node: 'y (RotaryEmbedding)',
    opset: 23,
    inputs: { x: 'float32[1,4,6,16]', pos: 'int64[1,6]' },
    outputs: { y: 'float32[1,4,6,16]' },
    nodes: [{ op: 'RotaryEmbedding', inputs: ['x', 'cos', 'sin', 'pos'], outputs: ['y'] }],
    initializers: { cos: angleTable(Math.cos), sin: angleTable(Math.sin) },
  },
  {
    kind: 'AveragePool with ceil_mode and count_include_pad',
    node: 'y (AveragePool)',
    opset: 19,
    inputs: { x: 'float32[1,2,8,8]' },
    outputs: { y: 'float32[1,2,5,5]' },
    nodes: [
      {
        op: 'AveragePool',
        inputs: ['x'],
        outputs: ['y'],
        attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], ceil_mode: 1, count_include_pad: 1 },
      },
    ],
  },
  {
    kind: 'Resize cubic with antialias',
    node: 'y (Resize)',
    opset: 19,
    inputs: { x: 'float32[1,1,16,16]' },
    outputs: { y: 'float32[1,1,6,6]' },
    nodes: [{ op: 'Resize', inputs: ['x', '', 'scales'], outputs: ['y'], attributes: { mode: 'cubic', antialias: 1 } }],
    initializers: { scales: { dtype: 'float32', dims: [4], data: [1, 1, 0.4, 0.4] } },
  },
  {
    kind: 'uint8 arithmetic that wraps',
    node: 'y (Add)',
    inputs: { x: 'uint8[64]' },
    outputs: { y: 'uint8[64]' },
    nodes: [{ op: 'Add', inputs: ['x', 'x'], outputs: ['y'] }],
  },
  {
    kind: 'int64 values beyond 32 bits inside the graph',
    node: 'm (Mul)',
    inputs: { x: 'int64[64]' },
    outputs: { y: 'int64[64]' },
    nodes: [
      { op: 'Mul', inputs: ['x', 'big'], outputs: ['m'] },
      { op: 'Div', inputs: ['m', 'by'], outputs: ['y'] },
    ],
    initializers: { big: int64(2_654_435_761), by: int64(65_536) },
  },
  {
    kind: 'TopK of equal values',
    node: 'v (TopK)',
    inputs: { x: 'int64[4,32]' },
    outputs: { v: 'float32[4,8]', i: 'int64[4,8]' },
    nodes: [
      { op: 'Cast', inputs: ['x'], outputs: ['f'], attributes: { to: 1 } },
      { op: 'TopK', inputs: ['f', 'k'], outputs: ['v', 'i'] },
    ],
    initializers: { k: { dtype: 'int64', dims: [1], data: [8] } },
  },
]

function write(spec: ModelSpec): string {
  const file = join(folder, `wrong${count++}.onnx`)
  writeFileSync(file, onnxModel({ ...spec, irVersion: 10 }))
  return file
}

const silent = () => {}

describe.skipIf(missing)('an OpenVINO engine whose numbers are wrong', () => {
  test.each(wrong)('$kind: auto leaves it out, names the first node, and keeps ONNX Runtime', async (model) => {
    const warnings: string[] = []
    const options = { root: folder, cache: { dir: join(folder, 'cache') } }
    const { variants } = await compile(write(model), options, { log: silent, warn: (line) => warnings.push(line) })
    expect(new Set(variants.map(({ backend }) => backend))).toEqual(new Set(['onnxruntime']))
    expect(warnings).toEqual([expect.stringContaining(`The first node that differs is ${model.node}`)])
  })

  test('one that the user asked for fails the build', async () => {
    const options = { root: folder, backends: ['openvino'], cache: { dir: join(folder, 'cache') } } as const
    await expect(compile(write(wrong[1]!), options, { log: silent, warn: silent })).rejects.toMatchObject({
      code: 'VERIFICATION_FAILED',
      hint: expect.stringContaining('Use another backend'),
    })
  })

  test('verify: false takes it unseen, and the engine is marked as not verified', async () => {
    const options = {
      root: folder,
      backends: ['openvino'],
      verify: false,
      cache: { dir: join(folder, 'cache') },
    } as const
    const { variants } = await compile(write(wrong[1]!), options, { log: silent, warn: silent })
    expect(variants).toMatchObject([{ backend: 'openvino', verified: false }])
  })
})

describe.skipIf(missing)('an OpenVINO engine whose numbers are right', () => {
  test('it is compared once, marked as verified, and later builds are hits', async () => {
    const spec: ModelSpec = {
      inputs: { x: 'float32[n,8]' },
      outputs: { y: 'float32[n,8]' },
      nodes: [
        { op: 'Relu', inputs: ['x'], outputs: ['r'] },
        { op: 'Softmax', inputs: ['r'], outputs: ['y'] },
      ],
    }
    const file = join(folder, 'right.onnx')
    writeFileSync(file, onnxModel(spec))
    const options = { root: folder, backends: ['openvino'], cache: { dir: join(folder, 'cache') } } as const
    const first = await compile(file, options, { log: silent, warn: silent })
    expect(first.variants).toMatchObject([{ verified: true, report: { verification: { failures: [] } } }])
    const lines: string[] = []
    const second = await compile(file, options, { log: (line) => lines.push(line), warn: silent })
    expect(second.variants).toMatchObject([{ verified: true, cache: { hit: true } }])
    expect(lines.join('\n')).not.toContain('looking for')
  })
})
