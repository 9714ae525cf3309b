import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile, type Options } from 'unplugin-onnx'
import { describe, expect, test, vi } from 'vitest'
import { runChild } from '../../plugin/child/run.ts'
import { resolveOptions } from '../../plugin/options/resolve.ts'
import type { EngineView, GraphView } from '../../plugin/view/contract.ts'
import { describeGraph } from '../../plugin/view/data/describe-graph.ts'
import { type NodeTimes, timesOf } from '../../plugin/view/data/node-times.ts'
import { profileEngine, type ProfileTarget, sharesOf } from '../../plugin/view/data/profile-engine.ts'
import { tempFolder } from '../support/helpers.ts'
import { floats } from '../support/int8-graphs.ts'
import { type ModelSpec, onnxModel } from '../support/models.ts'
import { endlessLoop } from './nets.ts'

// The process runs; the test sees what it was given.
vi.mock(import('../../plugin/child/run.ts'), async (original) => {
  const { runChild: run } = await original()
  return { runChild: vi.fn<typeof run>(run) }
})

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

async function profiled(model = file, settings: Options = options, limit?: number) {
  const { variants } = await compile(model, { ...settings, verify: false })
  const engine = { backend: 'onnxruntime', file: variants[0]?.artifact.file } as EngineView
  return measured({ engine, file: model, options: resolveOptions(settings) }, limit)
}

async function measured(target: Omit<ProfileTarget, 'graph'>, limit?: number) {
  const graph = await describeGraph(target.file)
  const profile = await profileEngine({ ...target, graph }, limit)
  const shareOf = (name: string) =>
    profile.times.find(({ node: index }) => graph.nodes[index]?.name === name)?.time ?? 0
  return { profile, shareOf }
}

describe('the time of the nodes of an engine', () => {
  test('is measured, and a product takes more of it than an activation', async () => {
    const { profile, shareOf } = await profiled()
    expect(shareOf('heavy')).toBeGreaterThan(shareOf('light'))
    expect(profile.named).toBeGreaterThan(0.5)
    expect(profile.named).toBeLessThanOrEqual(1)
    expect(profile.milliseconds).toBeGreaterThan(0)
  })

  test('is measured with the memory that a model of its size takes', async () => {
    vi.mocked(runChild).mockClear()
    await profiled()
    const profiling = vi.mocked(runChild).mock.calls.find(([worker]) => worker.href.endsWith('profile-child.js'))
    expect(profiling?.[2]?.modelBytes).toBe(statSync(file).size)
  })

  test('is measured on the dims of the options', async () => {
    const open = join(folder, 'open.onnx')
    writeFileSync(
      open,
      onnxModel({
        inputs: { x: 'float32[rows,columns]' },
        outputs: { y: 'float32[rows,2]' },
        nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'], name: 'product' }],
        initializers: { w: floats([7, 2], 1, 1) },
      }),
    )
    await expect(profiled(open)).rejects.toMatchObject({
      code: 'INFERENCE_FAILED',
      message: expect.stringMatching(/^open: its nodes cannot be measured: /),
      hint: expect.stringContaining("'shapes'"),
    })
    const { profile } = await profiled(open, { ...options, shapes: { x: [3, 7] } })
    expect(profile.milliseconds).toBeGreaterThan(0)
  })

  test('is not known of other backends', async () => {
    const engine = { backend: 'openvino', file } as EngineView
    await expect(measured({ engine, file, options: resolveOptions(options) })).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringContaining('an engine of ONNX Runtime, which measures its nodes'),
      hint: expect.stringContaining('Choose'),
    })
  })

  test('of a file that is no engine is an error', async () => {
    const engine = { backend: 'onnxruntime', file: join(folder, 'cache') } as EngineView
    const failure = measured({ engine, file, options: resolveOptions(options) })
    await expect(failure).rejects.toMatchObject({ code: 'INFERENCE_FAILED' })
    await expect(failure).rejects.not.toMatchObject({ message: expect.stringContaining('within') })
  })

  test('of an engine that does not end is an error that says so', async () => {
    const endless = join(folder, 'endless.onnx')
    writeFileSync(endless, onnxModel(endlessLoop))
    await expect(profiled(endless, options, 2000)).rejects.toMatchObject({
      code: 'INFERENCE_FAILED',
      expected: 'an inference within 2 s',
      hint: expect.stringContaining('a Loop that does not end'),
    })
  })

  test('of a Loop is what its body does not take, so nothing counts twice', async () => {
    const { profile, shareOf } = await profiled(loopFile)
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

  test('the time of a node is without that of its body and of the first run', () => {
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
    const run = { cat: 'Session', name: 'model_run', ts: 0, dur: 90 }
    const times = timesOf([event('before', 0, 100), { ...run, ts: 0, dur: 200 }, ...events, run])
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
