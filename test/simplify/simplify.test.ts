import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import type { Onnxruntime } from '../../plugin/measure/feed.ts'
import { fixGraph } from '../../plugin/onnx/fix-graph.ts'
import { type EditableModel, loadGraph, scopesOf } from '../../plugin/onnx/graph.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { simplifyGraph } from '../../plugin/simplify/simplify-graph.ts'
import { tempFolder } from '../support/helpers.ts'
import { type ModelSpec, onnxModel, sileroModels } from '../support/models.ts'

const folder = tempFolder()
const inference = { ort: ort as unknown as Onnxruntime, folder }
const int64 = (...data: number[]) => ({ dtype: 'int64' as const, dims: [data.length], data })

const cases: [string, { model: ModelSpec; shapes?: Record<string, number[]>; left: string[] }][] = [
  [
    'calls of local functions become their nodes, with the attributes of the call',
    {
      model: {
        ...unary('twice'),
        nodes: [{ op: 'twice', domain: 'local', inputs: ['x'], outputs: ['y'] }],
        functions: {
          twice: { inputs: ['a'], outputs: ['b'], nodes: [call('once', 'a', 't'), call('once', 't', 'b', 0.25)] },
          once: {
            inputs: ['a'],
            outputs: ['b'],
            attributes: ['slope'],
            nodes: [node('Neg', 'a', 't'), { ...node('LeakyRelu', 't', 'b'), attributes: { alpha: { ref: 'slope' } } }],
          },
        },
      },
      left: ['Neg', 'LeakyRelu', 'Neg', 'LeakyRelu'],
    },
  ],
  [
    'the domain ai.onnx becomes the empty one',
    {
      model: {
        ...unary('domain'),
        opsets: { '': 17, 'ai.onnx': 17 },
        nodes: [{ op: 'Relu', domain: 'ai.onnx', inputs: ['x'], outputs: ['y'] }],
      },
      left: ['Relu'],
    },
  ],
  [
    'identities, casts to the same dtype and unread nodes go; a binding keeps its Identity',
    {
      model: {
        ...unary('identities'),
        nodes: [
          node('Identity', 'x', 'a'),
          { op: 'Cast', inputs: ['a'], outputs: ['b'], attributes: { to: 1 } },
          node('Relu', 'b', 'c'),
          node('Exp', 'c', 'unread'),
          node('Identity', 'c', 'y'),
        ],
      },
      left: ['Relu', 'Identity'],
    },
  ],
  [
    'a chain of Shape, Gather and Concat is a constant when dims are fixed',
    {
      model: { ...reshaping(), inputs: { x: 'float32[n,4]' } },
      shapes: { x: [2, 4] },
      left: ['Reshape'],
    },
  ],
  [
    'the same chain stays where the dim that it picks is open',
    { model: { ...reshaping(), inputs: { x: 'float32[n,4]' } }, left: ['Shape', 'Gather', 'Concat', 'Reshape'] },
  ],
  [
    'what Gather picks of a Shape is a constant when that dim alone is fixed',
    { model: { ...reshaping(1), inputs: { x: 'float32[n,4]' } }, left: ['Reshape'] },
  ],
  [
    'the branch of a constant condition takes the place of the If, with what it reads from outside',
    {
      model: {
        ...unary('branch'),
        nodes: [
          node('Relu', 'x', 'outer'),
          {
            op: 'If',
            inputs: ['yes'],
            outputs: ['y'],
            attributes: { then_branch: { graph: branch('Exp') }, else_branch: { graph: branch('Neg') } },
          },
        ],
        initializers: { yes: { dtype: 'bool', dims: [], data: Uint8Array.of(1) } },
      },
      left: ['Relu', 'Exp'],
    },
  ],
  [
    'constants are computed, results that are much longer than what they are made of are not',
    {
      model: {
        ...unary('constants'),
        nodes: [
          { op: 'Add', inputs: ['one', 'one'], outputs: ['two'] },
          { op: 'Mul', inputs: ['x', 'two'], outputs: ['a'] },
          {
            op: 'ConstantOfShape',
            inputs: ['long'],
            outputs: ['zeros'],
            attributes: { value: { tensor: { dtype: 'float32', dims: [1], data: [0] } } },
          },
          { op: 'ReduceSum', inputs: ['zeros'], outputs: ['sum'], attributes: { keepdims: 0 } },
          { op: 'Add', inputs: ['a', 'sum'], outputs: ['y'] },
        ],
        initializers: { one: { dtype: 'float32', dims: [1], data: [1] }, long: int64(1000, 1000) },
      },
      left: ['Mul', 'ConstantOfShape', 'ReduceSum', 'Add'],
    },
  ],
  [
    'Squeeze gets the axes that its dims show',
    {
      model: {
        inputs: { x: 'float32[1,4,1]' },
        outputs: { y: 'float32[4]' },
        nodes: [node('Squeeze', 'x', 'y')],
      },
      left: ['Squeeze axes'],
    },
  ],
]

describe('simplified graph', () => {
  test.each(cases)('%s', async (title, { model, shapes = {}, left }) => {
    const file = join(folder, 'model.onnx')
    writeFileSync(file, onnxModel(model))
    const graph = await simplified(file, shapes)
    const names = graph.proto.graph.node.filter(({ opType }) => opType !== 'Constant')
    expect(names.map(({ opType, input }) => (opType === 'Squeeze' && input[1] ? `${opType} axes` : opType))).toEqual(
      left,
    )
    expect(names.map(({ domain }) => domain).filter(Boolean)).toEqual([])
    const dims = Object.values(shapes)[0] ?? (title.startsWith('Squeeze') ? [1, 4, 1] : [2, 4])
    const feeds = {
      x: new ort.Tensor('float32', Float32Array.from({ length: 8 }, (_, i) => i - 3.5).slice(0, size(dims)), dims),
    }
    await writeGraph(graph, join(folder, 'simpler.onnx'))
    expect(await run(join(folder, 'simpler.onnx'), feeds)).toEqual(await run(file, feeds))
  })

  test('of a net for two sample rates, fixed dims leave the one that fits them', async () => {
    const graph = await simplified(sileroModels.nested, { input: [1, 576], state: [2, 1, 128] })
    expect(scopesOf(graph)).toHaveLength(1)
    expect(graph.proto.graph.input.map(({ name }) => name)).toEqual(['input', 'state', 'sr'])
    await writeGraph(graph, join(folder, 'silero.onnx'))
    const feeds = {
      input: new ort.Tensor(
        'float32',
        Float32Array.from({ length: 576 }, (_, i) => Math.sin(i * i) / 2),
        [1, 576],
      ),
      state: new ort.Tensor(
        'float32',
        Float32Array.from({ length: 256 }, (_, i) => Math.cos(i * i)),
        [2, 1, 128],
      ),
      sr: new ort.Tensor('int64', BigInt64Array.of(16_000n), []),
    }
    expect(await run(join(folder, 'silero.onnx'), feeds)).toEqual(await run(sileroModels.nested, feeds))
  })

  test('without ONNX Runtime the graph is tidied and nothing is computed', async () => {
    const file = join(folder, 'plain.onnx')
    writeFileSync(file, onnxModel({ ...reshaping(), inputs: { x: 'float32[2,4]' } }))
    const model = await loadGraph(file)
    await simplifyGraph(model, { bytes: 1000, inference: undefined })
    expect(model.proto.graph.node.map(({ opType }) => opType)).toEqual(['Shape', 'Gather', 'Concat', 'Reshape'])
  })
})

async function simplified(file: string, shapes: Readonly<Record<string, number[]>>): Promise<EditableModel> {
  const model = await loadGraph(file)
  const inputs = Object.entries(shapes).map(([name, dims]) => ({ name, dims, dtype: 'float32' as const }))
  fixGraph(model, { inputs, outputs: [] })
  await simplifyGraph(model, { bytes: 1000, inference })
  return model
}

async function run(file: string, feeds: Record<string, ort.Tensor>): Promise<object> {
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 4 })
  const results = await session.run(feeds)
  return Object.fromEntries(Object.entries(results).map(([name, { dims, data }]) => [name, { dims, data }]))
}

function size(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1)
}

function node(op: string, input: string, output: string) {
  return { op, inputs: [input], outputs: [output] }
}

function call(op: string, input: string, output: string, slope?: number) {
  return { ...node(op, input, output), domain: 'local', ...(slope && { attributes: { slope } }) }
}

function unary(name: string): Pick<ModelSpec, 'name' | 'inputs' | 'outputs'> {
  return { name, inputs: { x: 'float32[2,4]' }, outputs: { y: 'float32[2,4]' } }
}

function branch(op: string) {
  return { outputs: { y: 'float32[2,4]' }, nodes: [node(op, 'outer', 'y')] }
}

/** y = x reshaped to [dim of x at `axis`, -1]. */
function reshaping(axis = 0): ModelSpec {
  return {
    outputs: { y: 'float32[?,?]' },
    nodes: [
      node('Shape', 'x', 'shape'),
      { op: 'Gather', inputs: ['shape', 'axis'], outputs: ['dim'], attributes: { axis: 0 } },
      { op: 'Concat', inputs: ['dim', 'rest'], outputs: ['target'], attributes: { axis: 0 } },
      { op: 'Reshape', inputs: ['x', 'target'], outputs: ['y'] },
    ],
    initializers: { axis: int64(axis), rest: int64(-1) },
  }
}
