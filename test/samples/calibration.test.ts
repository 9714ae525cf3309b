import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { encode as encodePng } from 'fast-png'
import { zipSync } from 'fflate'
import { encode as encodeJpeg } from 'jpeg-js'
import { beforeEach, describe, expect, test } from 'vitest'
import { openStore } from '../../plugin/cache/store.ts'
import { calibrate } from '../../plugin/measure/calibrate.ts'
import { readModel } from '../../plugin/onnx/model.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import type { Options } from '../../plugin/options/types.ts'
import { modelSamples, type FoundSamples } from '../../plugin/samples/find.ts'
import { readSamples, type Sample } from '../../plugin/samples/read.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel, onnxModel, type ModelSpec } from '../support/models.ts'
import { npy } from '../support/samples.ts'

type Request = Parameters<typeof modelSamples>[0]

let folder: string
beforeEach(() => {
  folder = tempFolder()
})

function write(name: string, bytes: Uint8Array | string): void {
  mkdirSync(dirname(join(folder, name)), { recursive: true })
  writeFileSync(join(folder, name), bytes)
}

function ignore(): void {}

async function requestFor(model: Uint8Array, calibration: Options['calibration']): Promise<Request> {
  write('m.onnx', model)
  const resolved = resolveOptions({ calibration: calibration!, cache: { dir: 'cache' } }, folder)
  const file = join(folder, 'm.onnx')
  return {
    name: 'm',
    model: await readModel(file),
    options: compileOptions(resolved, { file, query: {} }),
    root: folder,
    store: openStore({ ...resolved.cache, warn: ignore }),
  }
}

async function digestNow(): Promise<string> {
  return (await modelSamples(await requestFor(affineModel(), 's/*.npy')))!.digest
}

async function read(found: FoundSamples | undefined): Promise<Sample[]> {
  const samples: Sample[] = []
  for await (const sample of readSamples(found!.source, () => {})) samples.push(sample)
  return samples
}

const twoInputs: ModelSpec = {
  inputs: { a: 'float32[n]', 'b.1': 'int64[n]' },
  outputs: { y: 'float32[n]' },
  nodes: [
    { op: 'Cast', inputs: ['b.1'], outputs: ['c'], attributes: { to: 1 } },
    { op: 'Add', inputs: ['a', 'c'], outputs: ['y'] },
  ],
}
const image: ModelSpec = {
  inputs: { x: 'float32[1,3,2,2]' },
  outputs: { y: 'float32[1,3,2,2]' },
  nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }],
}

describe('samples', () => {
  test('.npy files are read in the order of their names, up to the limit', async () => {
    for (const name of ['b', 'a', 'c']) write(`s/${name}.npy`, npy([1, 4], [name.charCodeAt(0), 0, 0, 0]))
    const samples = await read(await modelSamples(await requestFor(affineModel(), { samples: 's/*.npy', limit: 2 })))
    expect(samples.map((sample) => (sample.get('x')!.data as Float32Array)[0])).toEqual([97, 98])
  })

  test("samples of several inputs are files that end in the input's name, or one .npz", async () => {
    write('s/1.a.npy', npy([2], [1, 2]))
    write('s/1.b.1.npy', npy([2], BigInt64Array.of(3n, 4n), '<i8'))
    write('z/1.npz', zipSync({ 'a.npy': npy([2], [1, 2]), 'b.1.npy': npy([2], BigInt64Array.of(3n, 4n), '<i8') }))
    const expected = [
      new Map<string, unknown>([
        ['a', { dtype: 'float32', dims: [2], data: Float32Array.of(1, 2) }],
        ['b.1', { dtype: 'int64', dims: [2], data: BigInt64Array.of(3n, 4n) }],
      ]),
    ]
    expect(await read(await modelSamples(await requestFor(onnxModel(twoInputs), 's/*.npy')))).toEqual(expected)
    expect(await read(await modelSamples(await requestFor(onnxModel(twoInputs), 'z/*.npz')))).toEqual(expected)
  })

  test('a module yields the samples', async () => {
    write(
      'samples.mjs',
      'export default async function* () { for (let i = 0; i < 3; i++) yield { x: { data: ' +
        'Float32Array.of(i, 0, 0, 0), dims: [1, 4] } } }',
    )
    const samples = await read(await modelSamples(await requestFor(affineModel(), './samples.mjs')))
    expect(samples.map((sample) => (sample.get('x')!.data as Float32Array)[0])).toEqual([0, 1, 2])
  })

  test('images are preprocessed to inputs', async () => {
    write(
      'i/a.png',
      encodePng({
        width: 2,
        height: 2,
        channels: 3,
        data: Uint8Array.of(255, 0, 10, 255, 0, 20, 255, 0, 30, 255, 0, 40),
      }),
    )
    const preprocess = { layout: 'nchw', channels: 'bgr', scale: 1 / 255, mean: [0, 0, 0.5], std: [1, 1, 0.5] } as const
    const [sample] = await read(await modelSamples(await requestFor(onnxModel(image), { images: 'i/*', preprocess })))
    const { dims, data } = sample!.get('x')!
    expect(dims).toEqual([1, 3, 2, 2])
    const expected = [10, 20, 30, 40].map((value) => value / 255).concat([0, 0, 0, 0, 1, 1, 1, 1])
    expect([...(data as Float32Array)]).toEqual(expected.map((value) => expect.closeTo(value, 6)))
  })

  test('JPEG images are resized to the static dims of the input', async () => {
    write('i/a.jpg', encodeJpeg({ width: 16, height: 8, data: new Uint8Array(16 * 8 * 4).fill(100) }, 100).data)
    const [sample] = await read(
      await modelSamples(
        await requestFor(onnxModel(image), { images: 'i/*.jpg', preprocess: { layout: 'nchw', scale: 1 } }),
      ),
    )
    for (const value of sample!.get('x')!.data as Float32Array) expect(Math.abs(value - 100)).toBeLessThanOrEqual(1)
  })

  test('the digest changes with the content and the order', async () => {
    write('s/1.npy', npy([1, 4], [1, 2, 3, 4]))
    write('s/2.npy', npy([1, 4], [5, 6, 7, 8]))
    const first = await digestNow()
    expect(await digestNow()).toBe(first)
    write('s/1.npy', npy([1, 4], [5, 6, 7, 8]))
    write('s/2.npy', npy([1, 4], [1, 2, 3, 4]))
    expect(await digestNow()).not.toBe(first)
  })

  test.each<
    [title: string, files: Record<string, string | Uint8Array>, calibration: Options['calibration'], message: RegExp]
  >([
    [
      'no file matches',
      {},
      's/*.npy',
      /m: calibration samples 's\/\*\.npy': expected files that match, of type \.npy or \.npz, received none\. The path starts from /,
    ],
    ['only other files match', { 's/1.txt': 'x' }, 's/*', /received 1 files of other types, such as 1\.txt/],
    ['not a .npy file', { 's/1.npy': 'nonsense' }, 's/*.npy', /1\.npy: it is not a \.npy file/],
    [
      'a truncated .npy file',
      { 's/1.npy': npy([1, 4], [1, 2, 3, 4]).subarray(0, -4) },
      's/*.npy',
      /1\.npy: it holds 12 bytes of data; its shape needs 16/,
    ],
    [
      'a wrong name',
      { 's.mjs': 'export default [{ y: new Float32Array(4) }]' },
      's.mjs',
      /sample 0: model "m", input "y": expected "x": float32\[1,4\], received an unknown name/,
    ],
    [
      'a wrong dtype',
      { 's/1.npy': npy([1, 4], Float64Array.of(1, 2, 3, 4), '<f8') },
      's/*.npy',
      /sample 1: .*expected dtype float32, received dtype "float64"/,
    ],
    [
      'a wrong shape',
      { 's/1.npy': npy([1, 5], [1, 2, 3, 4, 5]) },
      's/*.npy',
      /sample 1: .*expected 4 at dim 1 of float32\[1,4\], received 5/,
    ],
    [
      'NaN',
      { 's/1.npy': npy([1, 4], [1, 2, NaN, 4]) },
      's/*.npy',
      /sample 1: expected numbers for input "x", received NaN at element 2/,
    ],
    [
      'a module without samples',
      { 's.mjs': 'export default []' },
      's.mjs',
      /expected at least one sample, received none/,
    ],
    [
      'a module without a default export',
      { 's.mjs': 'export const samples = []' },
      's.mjs',
      /expected a default export that is an \(async\) iterable of samples/,
    ],
    [
      'a module that is not there',
      {},
      's.mjs',
      /the module: Cannot find module .*Install the package, or correct the path/,
    ],
    [
      'a module that needs a missing package',
      { 's.mjs': "import 'no-such-package-here'" },
      's.mjs',
      /Cannot find package 'no-such-package-here'.*Install the package/,
    ],
    [
      'a module that throws',
      { 's.mjs': 'export default (function* () { yield { x: new Float32Array(4) }; throw new Error("no disk") })()' },
      's.mjs',
      /the module after 1 samples: no disk/,
    ],
    [
      'a module that never gives a sample',
      { 's.mjs': 'export default (async function* () { await new Promise(() => {}) })()' },
      { samples: 's.mjs', timeout: 300 },
      /expected a sample within 0\.3 s, received none/,
    ],
    [
      'a module that never returns',
      { 's.mjs': 'while (true) {}' },
      { samples: 's.mjs', timeout: 300 },
      /expected a sample within 0\.3 s, received none/,
    ],
  ])('%s is an error', async (_, files, calibration, message) => {
    for (const [name, content] of Object.entries(files)) write(name, content)
    const request = await requestFor(affineModel(), calibration)
    const reading = modelSamples(request).then((found) => calibrate(request, found!, ['x']))
    await expect(reading).rejects.toMatchObject({
      name: 'OnnxEngineError',
      code: 'SAMPLES_INVALID',
      message: expect.stringMatching(message),
    })
  })
})

describe('calibration', () => {
  test('the ranges of inputs and inner values are found once', async () => {
    write('s/1.npy', npy([1, 4], [1, 2, 3, 4]))
    write('s/2.npy', npy([1, 4], [-1, 0, 0, 8]))
    const request = await requestFor(affineModel(), 's/*.npy')
    const found = (await modelSamples(request))!
    const ranges = await calibrate(request, found, ['x', 'scaled', 'y'])
    for (const [value, min, max] of [
      ['x', -1, 8],
      ['scaled', -2, 16],
      ['y', -1, 17],
    ] as const) {
      const halfAStep = (max - min) / 255 / 2 + 1e-6
      const range = ranges.get(value)!
      expect(Math.abs(range.min - min)).toBeLessThanOrEqual(halfAStep)
      expect(Math.abs(range.max - max)).toBeLessThanOrEqual(halfAStep)
      expect(range.nonFinite).toBe(0)
    }
    expect(await calibrate(request, found, ['x', 'scaled', 'y'])).toEqual(ranges)
    expect((await request.store.list()).length).toBe(1)
  })

  test('a module that yields other samples each time is refused', async () => {
    write('s.mjs', 'export default [{ x: Float32Array.from({ length: 4 }, Math.random) }]')
    const request = await requestFor(affineModel(), 's.mjs')
    const reading = calibrate(request, (await modelSamples(request))!, ['x'])
    await expect(reading).rejects.toMatchObject({ code: 'SAMPLES_INVALID', received: 'other samples the second time' })
  })

  test('a model that gives NaN is refused before anything is quantized', async () => {
    write('s/1.npy', npy([1, 3, 2, 2], new Float32Array(12).fill(-1)))
    const root = { ...image, nodes: [{ op: 'Sqrt', inputs: ['x'], outputs: ['y'] }] }
    const request = await requestFor(onnxModel(root), 's/*.npy')
    await expect(calibrate(request, (await modelSamples(request))!, ['x'])).rejects.toMatchObject({
      message: expect.stringMatching(/output "y" of sample 1: expected numbers from the fp32 model, received NaN/),
    })
  })
})
