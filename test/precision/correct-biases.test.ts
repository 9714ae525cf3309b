import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import { expect, test } from 'vitest'
import { loadGraph } from '../../plugin/onnx/graph.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { placementOf } from '../../plugin/precision/int8/backend-rules.ts'
import { planInt8 } from '../../plugin/precision/int8/plan.ts'
import { quantize } from '../../plugin/precision/int8/quantize.ts'
import type { BackendName } from '../../runtime/manifest.ts'
import { tempFolder } from '../support/helpers.ts'
import { int8Request, lowerToInt8 } from '../support/int8-graphs.ts'
import { type ModelSpec, type NodeSpec, onnxModel, type TensorSpec } from '../support/models.ts'
import { normal, npy } from '../support/samples.ts'

const count = 6

/** Samples that are all positive, as after a Relu: then errors of weights do not cancel each other. */
function sampleOf(dims: readonly number[], seed: number): Float32Array {
  return normal(sizeOf(dims), seed).map((value) => 1 + 0.2 * value)
}

function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1)
}

/** One of 27 weights of a channel is large, and 8 bits round the others to zero: all errors have one sign. */
function lopsided(dims: readonly number[], step: number): TensorSpec {
  const isLarge = (index: number) => Math.floor(index / step) % 27 === 0
  const data = Array.from({ length: sizeOf(dims) }, (_, index) => (isLarge(index) ? 1 : 0.45 / 127))
  return { dtype: 'float32', dims, data }
}

function numbers(dims: readonly number[]): TensorSpec {
  return { dtype: 'float32', dims, data: Array.from({ length: sizeOf(dims) }, (_, index) => 0.1 * index) }
}

const padded = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }

interface Case {
  readonly name: string
  readonly node: Partial<NodeSpec> & { readonly op: string }
  readonly x: readonly number[]
  readonly weight: readonly number[]
  readonly bias?: readonly number[]
  /** The axis of the channels in the result. */
  readonly channels: number
  /** A sum after the node, with the bias. */
  readonly add?: boolean
  readonly backend?: BackendName
}

const image = [1, 3, 12, 12] as const

const cases: readonly Case[] = [
  { name: 'Conv', node: { op: 'Conv', attributes: padded }, x: image, weight: [8, 3, 3, 3], channels: 1 },
  {
    name: 'Conv with a bias',
    node: { op: 'Conv', attributes: padded },
    x: image,
    weight: [8, 3, 3, 3],
    bias: [8],
    channels: 1,
  },
  {
    name: 'Conv of groups',
    node: { op: 'Conv', attributes: { kernel_shape: [3, 9], group: 3 } },
    x: image,
    weight: [6, 1, 3, 9],
    bias: [6],
    channels: 1,
  },
  {
    name: 'Conv of one dimension',
    node: { op: 'Conv', attributes: { kernel_shape: [9], strides: [2] } },
    x: [2, 3, 40],
    weight: [8, 3, 9],
    channels: 1,
  },
  {
    name: 'ConvTranspose',
    node: { op: 'ConvTranspose', attributes: { kernel_shape: [3, 3], strides: [2, 2] } },
    x: image,
    weight: [3, 9, 3, 3],
    bias: [9],
    channels: 1,
    backend: 'openvino',
  },
  { name: 'Gemm', node: { op: 'Gemm' }, x: [5, 54], weight: [54, 54], channels: 1 },
  {
    name: 'Gemm with transB and a bias of two axes',
    node: { op: 'Gemm', attributes: { transB: 1 } },
    x: [5, 54],
    weight: [16, 54],
    bias: [1, 16],
    channels: 1,
  },
  {
    name: 'MatMul before an Add',
    node: { op: 'MatMul' },
    x: [2, 5, 54],
    weight: [54, 54],
    bias: [54],
    channels: 2,
    add: true,
  },
]

function specOf({ node, x, weight, bias, add }: Case): ModelSpec {
  const { op, attributes = {} } = node
  const result = add ? 'product' : 'y'
  // The weights of a product are [inputs, channels].
  const isTall = weight.length === 2 && !('transB' in attributes)
  const inputs = ['x', 'w', ...(bias && !add ? ['b'] : [])]
  return {
    inputs: { x: `float32[${x.join(',')}]` },
    outputs: { y: 'float32' },
    nodes: [
      { op, inputs, outputs: [result], attributes },
      ...(add ? [{ op: 'Add', inputs: ['b', 'product'], outputs: ['y'] }] : []),
    ],
    initializers: { w: lopsided(weight, isTall ? weight[1]! : 1), ...(bias && { b: numbers(bias) }) },
    opset: 17,
  }
}

function write(spec: ModelSpec, dims: readonly number[]): { readonly folder: string; readonly file: string } {
  const folder = tempFolder()
  const file = join(folder, 'm.onnx')
  writeFileSync(file, onnxModel(spec))
  for (let seed = 0; seed < count; seed++)
    writeFileSync(join(folder, `sample${seed}.npy`), npy(dims, sampleOf(dims, seed)))
  return { folder, file }
}

/** The outputs for all samples. */
async function outputsOf(file: string, dims: readonly number[], name = 'y'): Promise<readonly ort.Tensor[]> {
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 4, graphOptimizationLevel: 'disabled' })
  const outputs: ort.Tensor[] = []
  for (let seed = 0; seed < count; seed++) {
    const results = await session.run({ x: new ort.Tensor('float32', sampleOf(dims, seed), dims) })
    outputs.push(results[name]!)
  }
  await session.release()
  return outputs
}

/** The largest magnitude, over channels, of the mean difference. */
function meanError(expected: readonly ort.Tensor[], received: readonly ort.Tensor[], axis: number): number {
  const sums = new Map<number, number>()
  expected.forEach(({ data, dims }, index) => {
    const inner = sizeOf(dims.slice(axis + 1))
    ;(data as Float32Array).forEach((value, at) => {
      const channel = Math.floor(at / inner) % dims[axis]!
      const difference = value - (received[index]!.data as Float32Array)[at]!
      sums.set(channel, (sums.get(channel) ?? 0) + (difference * dims[axis]!) / sizeOf(dims) / count)
    })
  })
  return Math.max(...[...sums.values()].map(Math.abs))
}

async function quantized(
  { folder, file }: { readonly folder: string; readonly file: string },
  backend: BackendName,
  correct: boolean,
): Promise<{ readonly out: string; readonly corrected: number }> {
  const request = await int8Request(folder, file, backend)
  const plan = await planInt8(request, placementOf(backend)!)
  const graph = await loadGraph(file)
  const { corrected } = await quantize(graph, request, { ...plan, method: 'minmax', equalize: false, correct })
  const out = join(folder, `${correct}.onnx`)
  await writeGraph(graph, out)
  return { out, corrected }
}

test.each(cases)('the mean error of $name goes into its bias', async (one) => {
  const { backend = 'onnxruntime' } = one
  const model = write(specOf(one), one.x)
  const [plain, corrected] = [await quantized(model, backend, false), await quantized(model, backend, true)]
  expect([plain.corrected, corrected.corrected]).toEqual([0, 1])
  const expected = await outputsOf(model.file, one.x)
  const before = meanError(expected, await outputsOf(plain.out, one.x), one.channels)
  const after = meanError(expected, await outputsOf(corrected.out, one.x), one.channels)
  expect(before).toBeGreaterThan(0.01)
  expect(after).toBeLessThan(before / 10)
})

const product: NodeSpec = { op: 'MatMul', inputs: ['x', 'w'], outputs: ['p'] }
const sum: NodeSpec = { op: 'Add', inputs: ['p', 'b'], outputs: ['y'] }
const dims = [5, 54]
const wide = { w: lopsided([54, 54], 54), b: numbers([54]) }

test.each([
  { name: 'no Add after it', nodes: [{ ...product, outputs: ['y'] }] },
  { name: 'an Add of two values', nodes: [product, { ...sum, inputs: ['p', 'x'] }] },
  { name: 'an Add of one number', nodes: [product, sum], b: numbers([1]) },
  { name: 'another reader before the Add', nodes: [product, sum, { op: 'Relu', inputs: ['p'], outputs: ['z'] }] },
] satisfies { name: string; nodes: readonly NodeSpec[]; b?: TensorSpec }[])(
  'a product with $name stays as it was',
  async ({ nodes, b = wide.b }) => {
    const outputs = { y: 'float32', ...(nodes.length === 3 && { z: 'float32' }) }
    const model = write({ inputs: { x: 'float32[5,54]' }, outputs, nodes, initializers: { ...wide, b } }, dims)
    expect((await quantized(model, 'onnxruntime', true)).corrected).toBe(0)
  },
)

test('a bias that two nodes share is corrected for each', async () => {
  const nodes: NodeSpec[] = [
    { op: 'Gemm', inputs: ['x', 'w', 'b'], outputs: ['y'] },
    { op: 'Gemm', inputs: ['x', 'v', 'b'], outputs: ['z'] },
  ]
  const v = { ...wide.w, data: Array.from(wide.w.data as number[], (weight) => -weight) }
  const model = write(
    { inputs: { x: 'float32[5,54]' }, outputs: { y: 'float32', z: 'float32' }, nodes, initializers: { ...wide, v } },
    dims,
  )
  const { out, corrected } = await quantized(model, 'onnxruntime', true)
  expect(corrected).toBe(2)
  for (const name of ['y', 'z']) {
    const [expected, received] = [await outputsOf(model.file, dims, name), await outputsOf(out, dims, name)]
    expect(meanError(expected, received, 1)).toBeLessThan(0.005)
  }
})

test('a build corrects biases where that comes closer to fp32, and says so', async () => {
  const { folder, file } = write(specOf(cases[1]!), image)
  const { out, lowered } = await lowerToInt8(folder, file, 'onnxruntime')
  expect(lowered.notes).toEqual([expect.stringMatching(/^ranges by \w+ with corrected biases: cosine [01]\.\d+ .*\(/)])
  const [expected, received] = [await outputsOf(file, image), await outputsOf(out, image)]
  expect(meanError(expected, received, 1)).toBeLessThan(0.01)
})

test('a build of a model without such a bias does not try to correct it', async () => {
  const nodes = [{ ...product, outputs: ['y'] }]
  const model = write({ inputs: { x: 'float32[5,54]' }, outputs: { y: 'float32' }, nodes, initializers: wide }, dims)
  const { lowered } = await lowerToInt8(model.folder, model.file, 'onnxruntime')
  expect(lowered.notes).toEqual([expect.not.stringContaining('corrected')])
})

test('nodes that stay in fp32 keep their biases', async () => {
  const { folder, file } = write(specOf(cases[1]!), image)
  const { graph, lowered } = await lowerToInt8(folder, file, 'onnxruntime', { precision: { fp32: ['y'] } })
  expect(lowered.lowered).toBe(0)
  expect(graph.proto.graph.initializer.map(({ name }) => name)).toEqual(['w', 'b'])
})
