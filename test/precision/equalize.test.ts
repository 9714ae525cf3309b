import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadGraph, scopesOf } from '../../plugin/onnx/graph.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { equalizeChannels } from '../../plugin/precision/int8/equalize.ts'
import { elementCount } from '../../runtime/dtype.ts'
import { tempFolder } from '../support/helpers.ts'
import { floats, lowerToInt8, runOnce, writeSamples } from '../support/int8-graphs.ts'
import { type ModelSpec, type NodeSpec, onnxModel, type TensorSpec } from '../support/models.ts'
import { cosine, normal } from '../support/samples.ts'

const dims = [1, 3, 16, 16]
const padded = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }
// Channels of very different sizes, as training with BatchNormalization leaves them.
const factors = Array.from({ length: 16 }, (_, channel) => 2 ** (-channel / 2))

function scaled(shape: readonly number[], seed: number, factor: (index: number) => number): TensorSpec {
  const data = Array.from(normal(elementCount(shape), seed), (value, index) => 0.3 * value * factor(index))
  return { dtype: 'float32', dims: shape, data }
}

/** Three convolutions, the one in the middle depthwise, each channel scaled up by what the next one scales down. */
function chain(between: readonly NodeSpec[], more: Partial<ModelSpec> = {}): ModelSpec {
  return {
    inputs: { x: 'float32[1,3,16,16]' },
    outputs: { y: 'float32[1,8,16,16]' },
    nodes: [
      { op: 'Conv', inputs: ['x', 'w0', 'b0'], outputs: ['c0'], attributes: padded },
      ...between,
      { op: 'Conv', inputs: ['r0', 'w1'], outputs: ['c1'], attributes: { ...padded, group: 16 } },
      { op: 'Relu', inputs: ['c1'], outputs: ['r1'] },
      { op: 'Conv', inputs: ['r1', 'w2'], outputs: ['y'] },
    ],
    initializers: {
      w0: scaled([16, 3, 3, 3], 1, (index) => factors[Math.floor(index / 27)]!),
      b0: scaled([16], 2, (index) => factors[index]!),
      w1: floats([16, 1, 3, 3], 3, 0.3),
      w2: scaled([8, 16, 1, 1], 4, (index) => 1 / factors[index % 16]!),
      slope: floats([16, 1, 1], 5, 0.2),
      six: { dtype: 'float32', dims: [], data: [6] },
      zero: { dtype: 'float32', dims: [], data: [0] },
    },
    ...more,
  }
}

function write(spec: ModelSpec): { readonly folder: string; readonly file: string } {
  const folder = tempFolder()
  const file = join(folder, 'm.onnx')
  writeFileSync(file, onnxModel(spec))
  return { folder, file }
}

const relu: NodeSpec = { op: 'Relu', inputs: ['c0'], outputs: ['r0'] }

test.each([
  { name: 'Relu', between: [relu], pairs: 2 },
  { name: 'LeakyRelu', between: [{ ...relu, op: 'LeakyRelu', attributes: { alpha: 0.3 } }], pairs: 2 },
  { name: 'PRelu', between: [{ ...relu, op: 'PRelu', inputs: ['c0', 'slope'] }], pairs: 2 },
  { name: 'Identity', between: [{ ...relu, op: 'Identity' }], pairs: 2 },
  { name: 'Clip to 6', between: [{ ...relu, op: 'Clip', inputs: ['c0', 'zero', 'six'] }], pairs: 1 },
  { name: 'HardSwish', between: [{ ...relu, op: 'HardSwish' }], pairs: 1 },
  { name: 'Sigmoid', between: [{ ...relu, op: 'Sigmoid' }], pairs: 1 },
] satisfies { name: string; between: NodeSpec[]; pairs: number }[])(
  'equal channels around $name leave each result in fp32 as it was',
  async ({ between, pairs }) => {
    const { folder, file } = write(chain(between, { opset: 16 }))
    const graph = await loadGraph(file)
    expect(await equalizeChannels(graph, scopesOf(graph)[0]!)).toBe(pairs)
    const out = join(folder, 'equalized.onnx')
    await writeGraph(graph, out)
    const [before, after] = [await runOnce(file, dims), await runOnce(out, dims)]
    expect([...after]).toEqual([...before].map((value) => expect.closeTo(value, 4)))
  },
)

test('a value that is also an output, or has two readers, stays as it is', async () => {
  const outputs = { y: 'float32[1,8,16,16]', r0: 'float32[1,16,16,16]' }
  const { file } = write(chain([relu], { outputs }))
  const graph = await loadGraph(file)
  expect(await equalizeChannels(graph, scopesOf(graph)[0]!)).toBe(1)
})

test('a build without a method equalizes where that comes closer to fp32, and says so', async () => {
  const { folder, file } = write(chain([relu]))
  writeSamples(folder, 4, dims)
  const calibration = { samples: 'sample*.npy' }
  const plain = await lowerToInt8(folder, file, 'onnxruntime', { calibration: { ...calibration, method: 'minmax' } })
  const before = cosine(await runOnce(file, dims), await runOnce(plain.out, dims))
  const { out, lowered } = await lowerToInt8(folder, file, 'onnxruntime', { calibration })
  const after = cosine(await runOnce(file, dims), await runOnce(out, dims))
  expect(1 - after).toBeLessThan((1 - before) / 2)
  expect(lowered.notes).toEqual([expect.stringMatching(/^ranges by \w+ with equalized channels\b.*?: cosine 0\.99/)])
})

test('a model without such a chain is not tried with equalized channels', async () => {
  const { nodes, ...rest } = chain([{ ...relu, op: 'Sigmoid' }])
  const { folder, file } = write({
    ...rest,
    nodes: nodes.map((node) => (node.outputs[0] === 'r1' ? { ...node, op: 'Sigmoid' } : node)),
  })
  writeSamples(folder, 4, dims)
  const { lowered } = await lowerToInt8(folder, file, 'onnxruntime', { calibration: { samples: 'sample*.npy' } })
  expect(lowered.notes.join()).not.toContain('equalized')
})
