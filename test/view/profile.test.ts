import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile, type Options } from 'unplugin-onnx'
import { describe, expect, test } from 'vitest'
import { resolveOptions } from '../../plugin/options/resolve.ts'
import type { EngineView, GraphView } from '../../plugin/view/contract.ts'
import { describeGraph } from '../../plugin/view/data/describe-graph.ts'
import { type NodeTimes, timesOf } from '../../plugin/view/data/node-times.ts'
import { profileEngine, sharesOf } from '../../plugin/view/data/profile-engine.ts'
import { tempFolder } from '../support/helpers.ts'
import { floats } from '../support/int8-graphs.ts'
import { type ModelSpec, onnxModel } from '../support/models.ts'

const folder = tempFolder()
const file = join(folder, 'm.onnx')
const loopFile = join(folder, 'loop.onnx')
writeFileSync(
  file,
  onnxModel({
    inputs: { x: 'float32[64,512]' },
    outputs: { y: 'float32[64,512]' },
    nodes: [
      { op: 'MatMul', inputs: ['x', 'w'], outputs: ['h'], name: 'heavy' },
      { op: 'Tanh', inputs: ['h'], outputs: ['y'], name: 'light' },
    ],
    initializers: { w: floats([512, 512], 1, 0.05) },
  }),
)
const options: Options = { root: folder, backends: ['onnxruntime'], cache: { dir: join(folder, 'cache') } }

async function engine(model = file): Promise<EngineView> {
  const { variants } = await compile(model, options)
  const [variant] = variants
  return { id: 'engine:1', backend: 'onnxruntime', file: variant!.artifact.file } as Partial<EngineView> as EngineView
}

describe('the time of the nodes of an engine', () => {
  test('is measured, and a product takes more of it than an activation', async () => {
    const graph = await describeGraph(file)
    const { times, named, milliseconds } = await profileEngine(await engine(), graph, file, resolveOptions(options))
    const shareOf = (name: string) => times.find(({ node }) => graph.nodes[node]?.name === name)?.time ?? 0
    expect(shareOf('heavy')).toBeGreaterThan(shareOf('light'))
    expect(named).toBeGreaterThan(0.5)
    expect(named).toBeLessThanOrEqual(1)
    expect(milliseconds).toBeGreaterThan(0)
  })

  test('is not known of other backends', async () => {
    const other = { ...(await engine()), backend: 'openvino' } as const
    await expect(profileEngine(other, await describeGraph(file), file, resolveOptions(options))).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringContaining('an engine of ONNX Runtime, which measures its nodes'),
    })
  })

  test('of a file that is no engine is an error', async () => {
    const broken = { ...(await engine()), file: join(folder, 'cache') }
    await expect(profileEngine(broken, await describeGraph(file), file, resolveOptions(options))).rejects.toMatchObject(
      {
        code: 'INFERENCE_FAILED',
      },
    )
  })

  test('of a Loop is what its body does not take, so nothing counts twice', async () => {
    const graph = await describeGraph(loopFile)
    const profile = await profileEngine(await engine(loopFile), graph, loopFile, resolveOptions(options))
    const shareOf = (name: string) => profile.times.find(({ node }) => graph.nodes[node]?.name === name)?.time ?? 0
    expect(shareOf('product')).toBeGreaterThan(shareOf('repeat'))
    const sum = profile.times.reduce((all, { time }) => all + time, 0)
    expect(sum).toBeCloseTo(profile.named)
    expect(sum).toBeLessThanOrEqual(1 + 1e-9)
  })
})

const node = (name: string, op = 'Conv', outputs: readonly string[] = []) => ({ name, op, outputs })
const timed = (name: string, op = 'Conv', index = 99) => ({ name, op, index, time: 10 })
const event = (name: string, ts: number, dur: number) => {
  const args = { op_name: 'If', node_index: '3' }
  return { cat: 'Node', name: `${name}_kernel_time`, ts, dur, args }
}

describe('nodes of the graph and their times', () => {
  test.each<readonly [string, readonly object[], readonly object[], readonly number[]]>([
    ['a name that both have', [node('a'), node('b')], [timed('b')], [1]],
    ['a fused node with the name of its first', [node('a')], [timed('a', 'FusedConv')], [0]],
    ['a node of the optimiser whose name only starts like one', [node('Transpose')], [timed('Transpose_5')], []],
    ['an ending of the optimiser', [node('a')], [timed('a_token_3'), timed('a_fused'), timed('a_quant')], []],
    ['a name that two nodes of the graph have', [node('a'), node('a')], [timed('a')], []],
    ['a name that two nodes of the engine have', [node('a')], [timed('a'), timed('a', 'Conv', 5)], []],
    ['nodes without a name', [node(''), node('')], [timed('')], []],
    ['the place of a node without a name', [node(''), node('Conv_5')], [timed('Conv_5', 'Conv', 5)], []],
    ['a name that only looks like a place', [node('Conv_5')], [timed('Conv_5', 'Conv', 5)], [0]],
    ['a convolution in blocks, by the value that it makes', [node('a', 'Conv', ['v'])], [timed('v_nchwc')], [0]],
    ['a convolution in blocks that made another node superfluous', [node('a', 'Relu', ['v'])], [timed('v_nchwc')], []],
    ['a value that two bodies make', [node('a', 'Conv', ['v']), node('b', 'Conv', ['v'])], [timed('v_nchwc')], []],
    ['blocks in the name of a node', [node('v_nchwc'), node('b', 'Conv', ['v'])], [timed('v_nchwc')], [0]],
  ])('%s', (_, nodes, times, expected) => {
    const graph = { nodes: nodes.map((item, index) => ({ ...item, index })) } as unknown as GraphView
    const profile = sharesOf(graph, { runs: 2, nodes: times as NodeTimes['nodes'] })
    expect(profile.times.map((item) => item.node)).toEqual(expected)
    expect(profile.named).toBe(expected.length / times.length)
    expect(profile.milliseconds).toBe((times.length * 10) / 1000 / 2)
  })

  test('the time of a node is without that of its body', () => {
    // ONNX Runtime writes an event when its node ends.
    const events = [
      event('before', 0, 10),
      event('inner', 12, 20),
      event('inner', 32, 20),
      event('middle', 11, 50),
      event('outer', 10, 60),
      event('after', 70, 0),
      event('last', 70, 7),
    ]
    const times = timesOf([...events, { cat: 'Session', name: 'model_run', ts: 0, dur: 90 }])
    expect(Object.fromEntries(times.map(({ name, time }) => [name, time]))).toEqual({
      before: 10,
      inner: 40,
      middle: 10,
      outer: 10,
      after: 0,
      last: 7,
    })
    expect(times[0]).toEqual({ name: 'before', op: 'If', index: 3, time: 10 })
  })
})

/** Eight products, one after the other, in a Loop. */
const loop: ModelSpec = {
  inputs: { x: 'float32[256,256]' },
  outputs: { y: 'float32[256,256]' },
  nodes: [
    {
      op: 'Loop',
      name: 'repeat',
      inputs: ['count', 'always', 'x'],
      outputs: ['y'],
      attributes: {
        body: {
          graph: {
            name: 'body',
            inputs: { i: 'int64[]', before: 'bool[]', v: 'float32[256,256]' },
            outputs: { after: 'bool[]', w: 'float32[256,256]' },
            nodes: [
              { op: 'Identity', inputs: ['before'], outputs: ['after'] },
              { op: 'MatMul', name: 'product', inputs: ['v', 'v'], outputs: ['w'] },
            ],
          },
        },
      },
    },
  ],
  initializers: {
    count: { dtype: 'int64', dims: [], data: [8] },
    always: { dtype: 'bool', dims: [], data: Uint8Array.of(1) },
  },
}
writeFileSync(loopFile, onnxModel(loop))
