import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { encode as encodePng } from 'fast-png'
import { zipSync } from 'fflate'
import { encode as encodeJpeg } from 'jpeg-js'
import { beforeEach, describe, expect, test } from 'vitest'
import { openStore } from '../../dist/plugin/cache/store.js'
import { calibrate } from '../../dist/plugin/measure/calibrate.js'
import { readModel } from '../../dist/plugin/onnx/model.js'
import { compileOptions, resolveOptions } from '../../dist/plugin/options/resolve.js'
import type { Options } from '../../dist/plugin/options/types.js'
import { modelSamples, type FoundSamples } from '../../dist/plugin/samples/find.js'
import { readSamples, type Sample } from '../../dist/plugin/samples/read.js'
import { addStored, type Histogram, newHistogram, rangeOf } from '../../plugin/measure/histogram.ts'
import { parseNpy } from '../../plugin/samples/npy.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel, onnxModel, type ModelSpec } from '../support/models.ts'
import { normal, npy } from '../support/samples.ts'

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
  test('are read from .npy files in the order of their names, at most the limit', async () => {
    for (const name of ['b', 'a', 'c']) write(`s/${name}.npy`, npy([1, 4], [name.charCodeAt(0), 0, 0, 0]))
    const samples = await read(await modelSamples(await requestFor(affineModel(), { samples: 's/*.npy', limit: 2 })))
    expect(samples.map((sample) => (sample.get('x')!.data as Float32Array)[0])).toEqual([97, 98])
  })

  test('of several inputs are files that end in the input, or one .npz', async () => {
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

  test('are what a module gives', async () => {
    write(
      'samples.mjs',
      'export default async function* () { for (let i = 0; i < 3; i++) yield { x: { data: Float32Array.of(i, 0, 0, 0), dims: [1, 4] } } }',
    )
    const samples = await read(await modelSamples(await requestFor(affineModel(), './samples.mjs')))
    expect(samples.map((sample) => (sample.get('x')!.data as Float32Array)[0])).toEqual([0, 1, 2])
  })

  test('are images, as their preprocessing says', async () => {
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

  test('are JPEG images too, resized to the static dims of the input', async () => {
    write('i/a.jpg', encodeJpeg({ width: 16, height: 8, data: new Uint8Array(16 * 8 * 4).fill(100) }, 100).data)
    const [sample] = await read(
      await modelSamples(
        await requestFor(onnxModel(image), { images: 'i/*.jpg', preprocess: { layout: 'nchw', scale: 1 } }),
      ),
    )
    for (const value of sample!.get('x')!.data as Float32Array) expect(Math.abs(value - 100)).toBeLessThanOrEqual(1)
  })

  test('have one digest, which changes with their content and order', async () => {
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
  ])('%s: an error says so', async (_, files, calibration, message) => {
    for (const [name, content] of Object.entries(files)) write(name, content)
    const request = await requestFor(affineModel(), calibration)
    const reading = modelSamples(request).then((found) => calibrate(request, found!, ['x']))
    await expect(reading).rejects.toMatchObject({
      name: 'OnnxEngineError',
      code: 'SAMPLES_INVALID',
      message: expect.stringMatching(message),
    })
  })

  test.each<[unknown, string]>([
    ['', `option 'calibration': expected a glob, the path of a module, or an object, received ''`],
    [{}, `option 'calibration': expected samples or images, and not both`],
    [{ images: 'i/*' }, `option 'calibration': expected preprocess with images, and only with them`],
    [{ images: 'i/*', preprocess: { layout: 'nchw' } }, `option 'calibration.preprocess.scale': expected`],
    [{ samples: 'a.mjs', methd: 'minmax' }, `option 'calibration.methd': expected one of`],
    [{ samples: 'a.mjs', limit: 0 }, `option 'calibration.limit': expected a whole number from 1, received 0`],
    [
      { samples: 'a.mjs', percentile: 20 },
      `option 'calibration.percentile': expected more than 50 and at most 100, received 20`,
    ],
  ])('the option %j is refused', (calibration, message) => {
    expect(() => resolveOptions({ calibration })).toThrow(message)
  })
})

describe('calibration', () => {
  test('finds the ranges of inputs and inner values, once', async () => {
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

  test('refuses a module that gives other samples each time', async () => {
    write('s.mjs', 'export default [{ x: Float32Array.from({ length: 4 }, Math.random) }]')
    const request = await requestFor(affineModel(), 's.mjs')
    const reading = calibrate(request, (await modelSamples(request))!, ['x'])
    await expect(reading).rejects.toMatchObject({ code: 'SAMPLES_INVALID', received: 'other samples the second time' })
  })

  test('refuses a model that gives NaN before anything is quantized', async () => {
    write('s/1.npy', npy([1, 3, 2, 2], new Float32Array(12).fill(-1)))
    const root = { ...image, nodes: [{ op: 'Sqrt', inputs: ['x'], outputs: ['y'] }] }
    const request = await requestFor(onnxModel(root), 's/*.npy')
    await expect(calibrate(request, (await modelSamples(request))!, ['x'])).rejects.toMatchObject({
      message: expect.stringMatching(/output "y" of sample 1: expected numbers from the fp32 model, received NaN/),
    })
  })
})

describe('a histogram', () => {
  test('gives the same ranges in any order', () => {
    const [first, second] = [normal(5000, 1), normal(5000, 2).map((value) => value * 10)]
    const [forth, back] = [newHistogram(), newHistogram()]
    for (const part of [first, second]) addFloats(forth, part)
    for (const part of [second, first]) addFloats(back, part)
    const [a, b] = [rangeOf(forth, 99), rangeOf(back, 99)]
    expect([a.min, a.max]).toEqual([b.min, b.max])
    for (const side of [0, 1] as const) {
      expect(a.percentile[side]).toBeCloseTo(b.percentile[side], 1)
      expect(a.entropy.int8[side]).toBeCloseTo(b.entropy.int8[side], 1)
    }
  })

  test('cuts what few values need: a percentile by rank, the entropy by what 8 bits lose', () => {
    const values = normal(100_000)
    values[7] = 100
    const histogram = newHistogram()
    addFloats(histogram, values)
    const range = rangeOf(histogram, 99.9)
    expect(range.max).toBeCloseTo(100, 0)
    expect(range.percentile[1]).toBeGreaterThan(2.5)
    expect(range.percentile[1]).toBeLessThan(3.7)
    expect(range.entropy.int8[1]).toBeLessThan(20)
    expect(range.entropy.int8[0]).toBe(range.min)
  })

  test('of a tensor that is never negative keeps more of it for unsigned numbers, which have twice the levels', () => {
    const histogram = newHistogram()
    for (let seed = 0; seed < 4; seed++)
      addFloats(
        histogram,
        normal(50_000, seed + 1).map((value) => Math.abs(value) ** 3),
      )
    const { entropy, min, max } = rangeOf(histogram, 100)
    expect(entropy.uint8[1]).toBeGreaterThan(entropy.int8[1])
    expect([min, entropy.uint8[0]]).toEqual([0, 0])
    expect(entropy.uint8[1]).toBeLessThanOrEqual(max)
  })

  test('counts large tensors in part, with their true ends', () => {
    const values = normal(2 ** 20)
    values[1] = -9
    const histogram = newHistogram()
    addFloats(histogram, values)
    const { min, percentile } = rangeOf(histogram, 99)
    expect(min).toBeCloseTo(-9, 1)
    expect(percentile[0]).toBeCloseTo(-2.49, 0)
  })

  test('tells samples that are not finite, and leaves them out', () => {
    const histogram = newHistogram()
    const stored = { data: Uint8Array.of(0, 255), scale: 1, zero: 0 }
    addStored(histogram, stored, false)
    addStored(histogram, { ...stored, scale: Infinity }, true)
    expect(rangeOf(histogram, 100)).toMatchObject({ min: 0, max: 0, nonFinite: 2 })
    addFloats(histogram, Float32Array.of(-1, 1))
    expect(rangeOf(histogram, 100)).toMatchObject({
      min: expect.closeTo(-1, 1),
      max: expect.closeTo(1, 1),
      nonFinite: 2,
    })
    expect(rangeOf(newHistogram(), 100)).toMatchObject({ min: 0, max: 0, nonFinite: 0 })
  })

  test('of a tensor of zeros has no range', () => {
    const histogram = newHistogram()
    addFloats(histogram, new Float32Array(8))
    expect(rangeOf(histogram, 99.9)).toMatchObject({
      min: 0,
      max: 0,
      percentile: [0, 0],
      entropy: { int8: [0, 0], uint8: [0, 0] },
    })
  })
})

/** Counts floats as the operator DynamicQuantizeLinear stores them. */
function addFloats(histogram: Histogram, values: Float32Array): void {
  const [min, max] = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [0, 0])
  const scale = max === min ? 1 : (max - min) / 255
  const zero = Math.round(-min / scale)
  addStored(
    histogram,
    {
      data: Uint8Array.from(values, (value) => Math.max(0, Math.min(255, Math.round(value / scale) + zero))),
      scale,
      zero,
    },
    true,
  )
}

test.each([
  ['<f2', Uint16Array.of(1, 2), 'float16'],
  ['|u1', Uint8Array.of(1, 2), 'uint8'],
  ['|b1', Uint8Array.of(1, 0), 'bool'],
  ['<i8', BigInt64Array.of(1n, 2n), 'int64'],
] as const)('a .npy file of %s is read', (descr, data, dtype) => {
  expect(parseNpy(npy([2], data, descr))).toEqual({ dtype, dims: [2], data })
})

test.each([
  [npy([2], Float32Array.of(1, 2), '>f4'), 'elements of type >f4'],
  [npy([2], Float32Array.of(1, 2), '<f4', true), 'Fortran order'],
  [readFileSync(import.meta.filename), 'not a .npy file'],
])('a .npy file that cannot be an input is refused', (bytes, message) => {
  expect(() => parseNpy(bytes)).toThrow(message)
})
