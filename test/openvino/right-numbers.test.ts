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

/** Kinds of models that OpenVINO 2026.4 computes wrong without a word, and of which the graph shows nothing. */
const wrong: readonly (ModelSpec & { readonly kind: string; readonly node: string })[] = [
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
  {
    kind: 'AveragePool with ceil_mode and count_include_pad over dynamic dims',
    node: 'y (AveragePool)',
    opset: 19,
    inputs: { x: 'float32[1,2,h,w]' },
    outputs: { y: 'float32[1,2,?,?]' },
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
    kind: 'Resize cubic with antialias to a size',
    node: 'y (Resize)',
    opset: 19,
    inputs: { x: 'float32[1,1,16,16]' },
    outputs: { y: 'float32[1,1,6,6]' },
    nodes: [
      { op: 'Resize', inputs: ['x', '', '', 'sizes'], outputs: ['y'], attributes: { mode: 'cubic', antialias: 1 } },
    ],
    initializers: { sizes: { dtype: 'int64', dims: [4], data: [1, 1, 6, 6] } },
  },
  {
    kind: 'uint8 arithmetic that wraps inside the graph',
    node: 'y (Add)',
    inputs: { x: 'uint8[64]' },
    outputs: { y: 'uint8[64]' },
    nodes: [
      { op: 'Max', inputs: ['x', 'x'], outputs: ['m'] },
      { op: 'Add', inputs: ['m', 'm'], outputs: ['y'] },
    ],
  },
  {
    kind: 'int64 values beyond 32 bits that a Cast makes',
    node: 'y (Cast)',
    inputs: { x: 'float32[64]' },
    outputs: { y: 'int64[64]' },
    nodes: [
      { op: 'Mul', inputs: ['x', 'ticks'], outputs: ['t'] },
      { op: 'Cast', inputs: ['t'], outputs: ['y'], attributes: { to: 7 } },
    ],
    initializers: { ticks: { dtype: 'float32', dims: [], data: [1e10] } },
  },
  {
    kind: 'int32 division beyond 24 bits',
    node: 'y (Div)',
    inputs: { x: 'int32[64]' },
    outputs: { y: 'int32[64]' },
    nodes: [{ op: 'Div', inputs: ['x', 'three'], outputs: ['y'] }],
    initializers: { three: { dtype: 'int32', dims: [], data: new Uint8Array(Int32Array.of(3).buffer) } },
  },
  {
    kind: 'int64 division beyond 24 bits',
    node: 'y (Mod)',
    inputs: { x: 'int64[64]' },
    outputs: { y: 'int64[64]' },
    nodes: [{ op: 'Mod', inputs: ['x', 'day'], outputs: ['y'] }],
    initializers: { day: { dtype: 'int64', dims: [], data: [86_400] } },
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

/** No random inputs fit: the rows of one table are the columns of another. */
const incomparable: ModelSpec = {
  inputs: { x: 'float32[n]', lengths: 'int64[2]' },
  outputs: { y: 'float32[?,?]' },
  nodes: [
    { op: 'Add', inputs: ['lengths', 'lengths'], outputs: ['l'] },
    { op: 'Sub', inputs: ['l', 'seven'], outputs: ['dims'] },
    { op: 'Reshape', inputs: ['x', 'dims'], outputs: ['y'] },
  ],
  initializers: { seven: { dtype: 'int64', dims: [], data: [7] } },
}

describe.skipIf(missing)('an OpenVINO engine that cannot be compared', () => {
  test('auto leaves it out with the reason, and keeps ONNX Runtime', async () => {
    const warnings: string[] = []
    const options = { root: folder, cache: { dir: join(folder, 'cache') } }
    const context = { log: silent, warn: (line: string) => warnings.push(line) }
    const { variants } = await compile(write(incomparable), options, context)
    expect(new Set(variants.map(({ backend }) => backend))).toEqual(new Set(['onnxruntime']))
    expect(warnings).toEqual([expect.stringMatching(/built without openvino: .* cannot be compared: the fp32 model/)])
  })

  test('one that the user asked for fails the build, and verify: false takes it', async () => {
    const options = { root: folder, backends: ['openvino'], cache: { dir: join(folder, 'cache') } } as const
    const file = write(incomparable)
    await expect(compile(file, options, { log: silent, warn: silent })).rejects.toMatchObject({
      code: 'VERIFICATION_FAILED',
      hint: expect.stringContaining('verify.samples'),
    })
    const { variants } = await compile(file, { ...options, verify: false }, { log: silent, warn: silent })
    expect(variants).toMatchObject([{ backend: 'openvino', verified: false }])
  })
})

const table = (of: (angle: number) => number) =>
  ({ dtype: 'float32', dims: [64, 8], data: Array.from({ length: 512 }, (_, at) => of(at / 7)) }) as const

/** OpenVINO 2026.4 computes other numbers if it gets the operator itself: see known-wrong.test.ts. */
const rotary: ModelSpec = {
  opset: 23,
  inputs: { x: 'float32[1,4,6,16]', pos: 'int64[1,6]' },
  outputs: { y: 'float32[1,4,6,16]' },
  nodes: [{ op: 'RotaryEmbedding', inputs: ['x', 'cos', 'sin', 'pos'], outputs: ['y'] }],
  initializers: { cos: table(Math.cos), sin: table(Math.sin) },
}

describe.skipIf(missing)('an OpenVINO engine whose numbers are right', () => {
  test('RotaryEmbedding is right, because OpenVINO gets standard operators instead', async () => {
    const options = { root: folder, backends: ['openvino'], cache: { dir: join(folder, 'cache') } } as const
    const { variants } = await compile(write(rotary), options, { log: silent, warn: silent })
    expect(variants).toMatchObject([{ verified: true, report: { verification: { failures: [] } } }])
  })

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
