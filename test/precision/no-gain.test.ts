import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile, type Compiled, type Options } from 'unplugin-onnx'
import { beforeEach, describe, expect, test } from 'vitest'
import { lossesOf } from '../../plugin/verify/gain.ts'
import { tempFolder } from '../support/helpers.ts'
import { floats, writeSamples } from '../support/int8-graphs.ts'
import { onnxModel } from '../support/models.ts'

const even = { speed: { lowered: 10, fp32: 10, ratio: 1, slowerRounds: 0.5 }, bytes: { lowered: 1e6, fp32: 1e6 } }
const half = { unit: 'nodes' as const, total: 10, lowered: 5, kept: [], notes: [], bytes: { before: 1, after: 1 } }

describe('what counts as worse than fp32', () => {
  test.each([
    ['the same', {}, half, []],
    ['faster', { speed: { lowered: 5, fp32: 10, ratio: 0.5, slowerRounds: 0 } }, half, []],
    [
      'slower in nearly all rounds',
      { speed: { lowered: 12, fp32: 10, ratio: 1.2, slowerRounds: 0.9 } },
      half,
      ['slower (12.0 ms, fp32 10.0 ms on this CPU)'],
    ],
    [
      'slower in some rounds, as noise is',
      { speed: { lowered: 12, fp32: 10, ratio: 1.2, slowerRounds: 0.6 } },
      half,
      [],
    ],
    ['slower by little', { speed: { lowered: 10.3, fp32: 10, ratio: 1.03, slowerRounds: 1 } }, half, []],
    ['slower by microseconds', { speed: { lowered: 0.03, fp32: 0.02, ratio: 1.5, slowerRounds: 1 } }, half, []],
    ['larger', { bytes: { lowered: 68_700_000, fp32: 19_600_000 } }, half, ['larger (68.7 MB, fp32 19.6 MB)']],
    ['larger by a few scales', { bytes: { lowered: 22_000, fp32: 20_000 } }, half, []],
    ['fp32 in nearly all nodes', {}, { ...half, total: 100 }, ['fp32 in 95 of 100 nodes']],
    ['without nodes to lower', {}, { ...half, total: 0, lowered: 0 }, []],
    ['lowered by the backend itself', {}, null, []],
  ] as const)('%s', (_, measured, lowering, losses) => {
    expect(lossesOf({ ...even, ...measured }, lowering)).toEqual(losses)
  })
})

describe('an int8 engine that is no gain', () => {
  let folder: string
  let file: string
  let lines: string[]
  const keep = (line: string) => lines.push(line)
  beforeEach(() => {
    folder = tempFolder()
    lines = []
    file = join(folder, 'm.onnx')
    const model = onnxModel({
      inputs: { x: 'float32[4,64]' },
      outputs: { y: 'float32[4,64]' },
      nodes: [{ op: 'Gemm', inputs: ['x', 'w', 'b'], outputs: ['y'], name: 'only' }],
      initializers: { w: floats([64, 64], 1, 0.2), b: floats([64], 2, 0.5) },
    })
    writeFileSync(file, model)
    writeSamples(folder, 2, [4, 64])
  })

  function build(options: Options): Promise<Compiled> {
    const defaults: Options = { backends: ['onnxruntime'], calibration: 'sample*.npy', verify: false }
    return compile(
      file,
      { root: folder, engine: 'int8', cache: { dir: join(folder, 'cache') }, ...defaults, ...options },
      { log: keep, warn: keep },
    )
  }
  const pinned = { fp32: ['only'] }

  test('the build has fp32 instead, in one line, for the portable engine too', async () => {
    const { variants } = await build({ precision: pinned })
    expect(variants.map(({ engine }) => engine)).toEqual(['fp32', 'fp32'])
    expect(variants[0]!.gain!.losses).toEqual(['fp32 in 1 of 1 nodes'])
    const said = lines.filter((line) => line.includes('instead of int8'))
    expect(said).toEqual(['m: the build has fp32 instead of int8, which is fp32 in 1 of 1 nodes, with onnxruntime'])
  })

  test(`with whenSlower: 'warn' int8 stays, with a warning`, async () => {
    const { variants } = await build({ precision: { ...pinned, whenSlower: 'warn' } })
    expect(variants.map(({ engine }) => engine)).toEqual(['int8', 'int8'])
    expect(lines).toContain('m: int8 is fp32 in 1 of 1 nodes, with onnxruntime')
  })

  test(`with whenSlower: 'error' the build fails`, async () => {
    await expect(build({ precision: { ...pinned, whenSlower: 'error' } })).rejects.toMatchObject({
      code: 'PRECISION_UNSUPPORTED',
      message: expect.stringContaining('fp32 in 1 of 1 nodes') as string,
    })
  })

  test('the verdict is cached: a second build measures nothing and says the same', async () => {
    const [first] = (await build({})).variants
    lines = []
    const [second] = (await build({})).variants
    expect(second!.cache.hit).toBe(true)
    expect(second!.gain).toEqual(first!.gain)
    expect(first!.gain!.speed.fp32).toBeGreaterThan(0)
  })
})
