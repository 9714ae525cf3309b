import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile, type Compiled, type Options } from 'unplugin-onnx'
import { beforeAll, describe, expect, test } from 'vitest'
import { pinGroups } from '../../plugin/compile/pin-groups.ts'
import { tempFolder } from '../support/helpers.ts'
import { floats, writeSamples } from '../support/int8-graphs.ts'
import { onnxModel } from '../support/models.ts'

function conv(name: string, from: string, to: string, group = 1) {
  const attributes = { pads: [1, 1, 1, 1], group }
  return { op: 'Conv', inputs: [from, name], outputs: [to], name, attributes } as const
}

/** A network whose depthwise convolution has one channel that int8 loses the others for. */
function writeModel(folder: string): string {
  const file = join(folder, 'm.onnx')
  const model = onnxModel({
    inputs: { x: 'float32[1,16,24,24]' },
    outputs: { y: 'float32[1,16,24,24]' },
    nodes: [
      conv('first', 'x', 'a'),
      conv('depthwise', 'a', 'b', 16),
      { op: 'Mul', inputs: ['b', 'sizes'], outputs: ['m'], name: 'widen' },
      { op: 'Tanh', inputs: ['m'], outputs: ['c'], name: 'squash' },
      conv('last', 'c', 'y'),
    ],
    initializers: {
      first: floats([16, 16, 3, 3], 1, 0.1),
      depthwise: floats([16, 1, 3, 3], 2, 0.2),
      sizes: { dtype: 'float32', dims: [16, 1, 1], data: [1000, ...Array.from({ length: 15 }, () => 1)] },
      last: floats([16, 16, 3, 3], 3, 0.1),
    },
  })
  writeFileSync(file, model)
  writeSamples(folder, 2, [1, 16, 24, 24])
  return file
}

function build(folder: string, options: Options, signal?: AbortSignal): Promise<Compiled> {
  const defaults: Options = {
    root: folder,
    cache: { dir: join(folder, 'cache') },
    engine: 'int8',
    backends: ['onnxruntime'],
    onnxruntime: { portable: false },
    calibration: 'sample*.npy',
    // A cosine that this net does not reach in int8 alone.
    verify: { cosine: 0.9999 },
  }
  const lines: string[] = []
  const keep = (line: string) => lines.push(line)
  return compile(writeModel(folder), { ...defaults, ...options }, { log: keep, warn: keep, ...(signal && { signal }) })
}

describe('a search for the nodes of int8 that stay in fp32', () => {
  const folder = tempFolder()
  const precision = { search: true, whenSlower: 'warn' } as const
  let builds: readonly Compiled[]
  beforeAll(async () => {
    builds = await Promise.all([build(folder, { precision }), build(folder, { precision })])
  })

  test('reports what it tried, and keeps the limits', () => {
    const [variant] = builds[0]!.variants
    const { curve, best, stopped } = variant!.search!
    expect(stopped).toBe('done')
    expect(curve.length).toBeGreaterThan(3)
    expect(curve[0]).toMatchObject({ pinned: 0, isFine: false })
    expect(best).toMatchObject({ isFine: true })
    expect(variant!.report!.verification!.failures).toEqual([])
    const kept = variant!.report!.lowering!.kept.map(({ name }) => name)
    expect(kept).toEqual(expect.arrayContaining([...best!.pinned]))
  })

  test('of two builds at once is one search', () => {
    const [one, other] = builds.map(({ variants }) => variants[0]!)
    expect(one!.artifact.sha256).toBe(other!.artifact.sha256)
    expect(one!.search).toEqual(other!.search)
  })

  test('is not repeated: a frozen build has the same result', async () => {
    const [variant] = (await build(folder, { precision, frozen: true })).variants
    expect(variant!.search).toEqual(builds[0]!.variants[0]!.search)
    expect(variant!.artifact.sha256).toBe(builds[0]!.variants[0]!.artifact.sha256)
  })

  test('ends with its budget, and the build goes on', async () => {
    const [variant] = (await build(folder, { precision: { ...precision, budget: 1 } })).variants
    expect(variant!.search).toMatchObject({ stopped: 'budget', best: { isFine: true } })
    expect(variant!.report!.verification!.failures).toEqual([])
  })

  test('does not run where the user says no', async () => {
    const [variant] = (await build(folder, { precision: { ...precision, search: false } })).variants
    expect(variant!.search).toBeUndefined()
  })

  test('that is stopped leaves nothing that the next build would take for its result', async () => {
    const own = tempFolder()
    const controller = new AbortController()
    const stopped = build(own, { precision }, controller.signal).catch((error: unknown) => error)
    // Its trials are engines in the cache.
    await expect.poll(() => engineCount(own), { timeout: 60_000 }).toBeGreaterThan(3)
    controller.abort()
    expect(await stopped).toMatchObject({ code: 'COMPILE_ABORTED' })
    await expect(build(own, { precision, frozen: true })).rejects.toMatchObject({ code: 'NOT_CACHED' })
  })

  test('tries neighbours and the nodes of one kind, but never all at once', async () => {
    const groups = await pinGroups(writeModel(folder), ['first', 'depthwise', 'last'])
    expect(groups).toEqual([['first'], ['depthwise'], ['last'], ['first', 'last']])
  })
})

function engineCount(folder: string): number {
  const content = join(folder, 'cache', 'v1', 'content-v2')
  return existsSync(content)
    ? readdirSync(content, { recursive: true, withFileTypes: true }).filter((item) => item.isFile()).length
    : 0
}
