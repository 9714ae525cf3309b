import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile, type Compiled, type Options } from 'unplugin-onnx'
import { beforeEach, describe, expect, test } from 'vitest'
import { saturatesInt8 } from '../../runtime/onnxruntime/cpu.ts'
import { tempFolder } from '../support/helpers.ts'
import { floats, writeSamples } from '../support/int8-graphs.ts'
import { onnxModel } from '../support/models.ts'

function conv(name: string, from: string, to: string) {
  return { op: 'Conv', inputs: [from, name], outputs: [to], name, attributes: { pads: [1, 1, 1, 1] } } as const
}

describe('engine=auto', () => {
  let folder: string
  let lines: string[]
  const keep = (line: string) => lines.push(line)
  beforeEach(() => {
    folder = tempFolder()
    lines = []
    // Convolutions that take int8 a third of the time, where the CPU has instructions for it.
    const model = onnxModel({
      inputs: { x: 'float32[1,64,48,48]' },
      outputs: { y: 'float32[1,64,48,48]' },
      nodes: [conv('first', 'x', 'a'), conv('second', 'a', 'b'), conv('third', 'b', 'y')],
      initializers: {
        first: floats([64, 64, 3, 3], 1, 0.05),
        second: floats([64, 64, 3, 3], 2, 0.05),
        third: floats([64, 64, 3, 3], 3, 0.05),
      },
    })
    writeFileSync(join(folder, 'm.onnx'), model)
    writeSamples(folder, 2, [1, 64, 48, 48])
  })

  function build(options: Options = {}): Promise<Compiled> {
    const defaults: Options = { backends: ['onnxruntime'], calibration: 'sample*.npy', engine: 'auto' }
    return compile(
      join(folder, 'm.onnx'),
      { root: folder, cache: { dir: join(folder, 'cache') }, ...defaults, ...options },
      { log: keep, warn: keep },
    )
  }
  const verdicts = () => lines.filter((line) => line.includes('engine=auto'))

  test.skipIf(saturatesInt8())('takes int8 where it is faster and within its limits', async () => {
    const { variants } = await build()
    expect(variants.map(({ engine, verified }) => [engine, verified])).toEqual([
      ['int8', true],
      ['int8', true],
    ])
    const { speed, losses } = variants[0]!.gain!
    expect(losses).toEqual([])
    expect(speed.ratio).toBeLessThan(1)
    expect(verdicts()).toEqual([
      expect.stringMatching(/^m: engine=auto is int8, [\d.]+ times as fast as fp32 \(.*\), with onnxruntime$/),
    ])
  })

  test('stays with fp32 where the limits rule int8 out', async () => {
    const { variants } = await build({ verify: { maxError: 0 }, precision: { autoPin: false } })
    expect(variants.map(({ engine }) => engine)).toEqual(['fp32', 'fp32'])
    expect(verdicts()).toEqual([expect.stringMatching(/^m: engine=auto is fp32, with onnxruntime; int8: .*differs/)])
    expect(lines.filter((line) => line.includes('  int8  '))).toEqual([])
  })

  test('says that int8 needs samples', async () => {
    const { variants } = await build({ calibration: undefined })
    expect(variants.map(({ engine }) => engine)).toEqual(['fp32', 'fp32'])
    expect(verdicts()).toEqual([
      `m: engine=auto is fp32, with onnxruntime; int8: it needs samples, by the option 'calibration'`,
    ])
  })

  test('finds all in the cache the second time, with the same verdict', async () => {
    const first = await build()
    const verdict = verdicts()
    lines = []
    const second = await build({ frozen: true })
    expect(second.variants.map(({ engine, cache }) => [engine, cache.hit])).toEqual(
      first.variants.map(({ engine }) => [engine, true]),
    )
    expect(verdicts()).toEqual(verdict)
  })

  test('compiles nothing in a frozen build', async () => {
    await expect(build({ frozen: true })).rejects.toMatchObject({ code: 'NOT_CACHED' })
  })

  test.each(['query', 'glob'])('is understood in a %s', async (place) => {
    const { parseRequest } = await import('../../plugin/options/query.ts')
    const { compileOptions, resolveOptions } = await import('../../plugin/options/resolve.ts')
    const user: Options = place === 'glob' ? { models: { '**/m.onnx': { engine: 'auto' } } } : {}
    const request = parseRequest(`/m.onnx${place === 'query' ? '?engine=auto' : ''}`)!
    expect(compileOptions(resolveOptions(user, folder), request)).toMatchObject({ engine: 'fp32', fastest: true })
  })

  test('needs inputs and outputs of fp32', async () => {
    await expect(build({ precision: { io: 'fp16' } })).rejects.toMatchObject({ code: 'PRECISION_UNSUPPORTED' })
  })
})
