import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile, type Options } from 'unplugin-onnx'
import { describe, expect, test } from 'vitest'
import { resolveOptions } from '../../plugin/options/resolve.ts'
import type { EngineView, GraphView } from '../../plugin/view/contract.ts'
import { tempFolder } from '../support/helpers.ts'
import { floats } from '../support/int8-graphs.ts'
import { onnxModel } from '../support/models.ts'

// From dist, as their child process is.
const { profileEngine, sharesOf } = (await import(
  new URL('../../dist/plugin/view/data/profile-engine.js', import.meta.url).href
)) as typeof import('../../plugin/view/data/profile-engine.ts')
const { describeGraph } = (await import(
  new URL('../../dist/plugin/view/data/describe-graph.js', import.meta.url).href
)) as typeof import('../../plugin/view/data/describe-graph.ts')

const folder = tempFolder()
const file = join(folder, 'm.onnx')
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

async function engine(): Promise<EngineView> {
  const { variants } = await compile(file, options)
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

  test('belongs to nodes by their names, also with an ending of the optimiser', () => {
    const graph = { nodes: ['a', 'b'].map((name, index) => ({ index, name })) } as unknown as GraphView
    const times = [
      ['a', 60],
      ['b_nchwc', 20],
      ['reorder', 20],
    ] as const
    expect(sharesOf(graph, { runs: 2, nodes: times })).toEqual({
      times: [
        { node: 0, time: 0.6 },
        { node: 1, time: 0.2 },
      ],
      named: 0.8,
      milliseconds: 0.05,
    })
  })
})
