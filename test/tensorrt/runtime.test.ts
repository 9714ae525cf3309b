import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { tensorrtRtxRunner } from '../../dist/runtime/tensorrt/runner.js'
import type { Profile } from '../../plugin/options/types.ts'
import type { VariantManifest } from '../../runtime/manifest.ts'
import { checkProfiles } from '../../runtime/tensorrt/bounds.ts'
import { chooseGpu } from '../../runtime/tensorrt/gpu.ts'
import { openKernelCache } from '../../runtime/tensorrt/kernel-cache.ts'
import { versionRefusal } from '../../runtime/tensorrt/version.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel, onnxModel } from '../support/models.ts'
import { build, type Built } from '../support/openvino-models.ts'
import { missingTensorRtRtx, rtxFolder } from '../support/tensorrt-library.ts'

const missing = missingTensorRtRtx()
const folder = tempFolder()
const rtx = { backends: ['tensorrt-rtx'] } as const

describe.skipIf(missing)('the file of an engine', () => {
  let engine: Uint8Array
  let other: Uint8Array
  let variant: VariantManifest<'tensorrt-rtx'>
  const bindings = { inputs: [], outputs: [] }

  beforeAll(async () => {
    const file = write('affine.onnx', affineModel())
    const built = await build(folder, file, rtx)
    variant = built.manifest.variants[0] as VariantManifest<'tensorrt-rtx'>
    engine = readFileSync(variant.file as string)
    other = readFileSync(
      (await build(folder, file, { ...rtx, tensorrtRtx: { library: rtxFolder('1.6.1.120') } })).manifest.variants[0]
        ?.file as string,
    )
  }, 60_000)

  const flipped = (at: number) => engine.map((byte, index) => (index === at ? byte ^ 0x10 : byte))
  const files: readonly [string, () => Uint8Array, RegExp][] = [
    ['of 0 bytes', () => new Uint8Array(0), /received 0 bytes, less than the header of an engine/],
    [
      'of zeros',
      () => new Uint8Array(engine.length),
      /received a file that begins with 00000000 and is no engine of TensorRT-RTX/,
    ],
    ['that ends in the header', () => engine.subarray(0, 40), /received 40 bytes, less than the header/],
    ['that ends half way', () => engine.subarray(0, engine.length / 2), /received \d+ bytes of an engine that has \d+/],
    [
      'with a flipped bit in its first bytes',
      () => flipped(1),
      /received a file that begins with 76647274 and is no engine/,
    ],
    ['with a flipped bit in its size', () => flipped(17), /received \d+ bytes of an engine that has \d+/],
    ['with a flipped bit in its version', () => flipped(25), /received an engine of TensorRT-RTX 1\.23\.1\.116/],
    ['of another release', () => other, /received an engine of TensorRT-RTX 1\.6\.1\.120/],
    [
      'that is an .onnx with another name',
      () => readFileSync(join(folder, 'affine.onnx')),
      /received a file that begins with [\da-f]{8} and is no engine of TensorRT-RTX/,
    ],
  ]
  test.each(files)(
    '%s is told from an engine without a GPU, though it is what was shipped',
    async (name, bytes, message) => {
      const failed = open(name, bytes())
      await expect(failed).rejects.toMatchObject({ code: 'ARTIFACT_INVALID', message: expect.stringMatching(message) })
      await expect(failed).rejects.toThrow('expected an engine of TensorRT-RTX 1.7.1.116')
    },
  )

  test.each([
    ['of any bit', () => flipped(engine.length - 1000)],
    ['of its length', () => engine.subarray(0, -1)],
  ])('that has changed since the build, %s, fails its checksum', async (name, bytes) => {
    const { sha256, size } = variant
    await expect(open(name, bytes(), { sha256, size })).rejects.toMatchObject({
      code: 'ARTIFACT_INVALID',
      message: expect.stringContaining('changed or truncated after the build'),
    })
  })

  test('that is whole is not judged by its header', async () => {
    // Whatever comes next on this machine: it says that there is no GPU, or that the model has no inputs.
    await expect(open('whole', engine)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
  })

  function open(
    name: string,
    bytes: Uint8Array,
    shipped = { sha256: createHash('sha256').update(bytes).digest('hex'), size: bytes.length },
  ): Promise<unknown> {
    const file = write(`${name.replaceAll(/\W/g, '-')}.engine`, bytes)
    return Promise.resolve(
      tensorrtRtxRunner.open({ ...variant, ...shipped, file }, file, bindings, { model: 'affine', device: 99 }),
    )
  }
})

describe.skipIf(missing)('a shape tensor', () => {
  const expand = onnxModel({
    inputs: { x: 'float32[1,4]', shape: 'int64[2]' },
    outputs: { y: 'float32[?,?]' },
    nodes: [{ op: 'Expand', inputs: ['x', 'shape'], outputs: ['y'] }],
  })
  const slice = onnxModel({
    inputs: { x: 'float32[n,64]', end: 'int64[1]' },
    outputs: { y: 'float32[?,?]' },
    nodes: [
      { op: 'Slice', inputs: ['x', 'zero', 'end', 'one'], outputs: ['part'] },
      { op: 'Mul', inputs: ['part', 'part'], outputs: ['y'] },
    ],
    initializers: { zero: { dtype: 'int64', dims: [1], data: [0] }, one: { dtype: 'int64', dims: [1], data: [1] } },
  })
  const repeat = onnxModel({
    inputs: { x: 'float32[1]', n: 'int64[]' },
    outputs: { y: 'float32[?]' },
    nodes: [
      { op: 'Unsqueeze', inputs: ['n', 'zero'], outputs: ['dims'] },
      { op: 'Expand', inputs: ['x', 'dims'], outputs: ['y'] },
    ],
    initializers: { zero: { dtype: 'int64', dims: [1], data: [0] } },
  })
  const open = { min: {}, opt: {}, max: {} }

  test.each([
    [
      'of Expand',
      expand,
      { ...open, values: { shape: { min: [1, 4], opt: [8, 4], max: [16, 4] } } },
      '0 shape values=1x4..8x4..16x4',
    ],
    [
      'of Slice, beside an open dim',
      slice,
      {
        min: { x: [1, 64] },
        opt: { x: [2, 64] },
        max: { x: [4, 64] },
        values: { end: { min: [1], opt: [8], max: [64] } },
      },
      '0 end values=1..8..64',
    ],
    ['that is a scalar', repeat, { ...open, values: { n: { min: [1], opt: [8], max: [64] } } }, '0 n values=1..8..64'],
  ])('%s is built with bounds of its values', async (name, bytes, profile, fact) => {
    const { compiled } = await buildModel(name, bytes, [profile])
    expect(compiled.variants[0]?.artifact.key.facts['profiles']).toContain(fact)
  })

  test.each([
    [
      'without bounds',
      expand,
      [],
      'COMPILE_FAILED',
      /input 'shape' is a shape tensor: .*Give the option profiles: \[\{ min: \{\}, opt: \{\}, max: \{\}, values: \{ shape: \{ min: \[1, 1\], opt: \[1, 1\], max: \[1, 1\] \} \} \}\]/,
    ],
    [
      'without bounds in one of the profiles',
      slice,
      [{ min: { x: [1, 64] }, opt: { x: [2, 64] }, max: { x: [4, 64] } }],
      'COMPILE_FAILED',
      /Add to each of the profiles values: \{ end:/,
    ],
    [
      'that is none',
      slice,
      [
        {
          min: { x: [1, 64] },
          opt: { x: [2, 64] },
          max: { x: [4, 64] },
          values: { end: { min: [1], opt: [2], max: [3] }, x: { min: [1], opt: [1], max: [1] } },
        },
      ],
      'SHAPE_INVALID',
      /profiles\[0\]\.values\.x: expected an input of int32 or int64, as shape tensors are, received float32/,
    ],
    [
      'that the model does not have',
      expand,
      [{ ...open, values: { shap: { min: [1], opt: [1], max: [1] } } }],
      'SHAPE_INVALID',
      /profiles\[0\]\.values\.shap: expected one of the model's inputs .*Did you mean 'shape'\?/,
    ],
    [
      'with too few values',
      expand,
      [{ ...open, values: { shape: { min: [1], opt: [8], max: [16] } } }],
      'SHAPE_INVALID',
      /profiles\[0\]\.values\.shape\.min: expected 2 values, received 1/,
    ],
    [
      'with half a value',
      expand,
      [{ ...open, values: { shape: { min: [1, 1.5], opt: [8, 4], max: [16, 4] } } }],
      'SHAPE_INVALID',
      /profiles\[0\]\.values\.shape\.min\[1\]: expected a whole number, received 1\.5/,
    ],
    [
      'with bounds that lie',
      expand,
      [{ ...open, values: { shape: { min: [9, 4], opt: [8, 4], max: [16, 4] } } }],
      'SHAPE_INVALID',
      /expected min <= opt <= max for each value, received min \[9, 4\]/,
    ],
  ])('%s is an error that says what to write', async (name, bytes, profiles, code, message) => {
    await expect(buildModel(name, bytes, profiles)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    })
  })

  test('that is an input like any other to the builder cannot have bounds of its values', async () => {
    const add = onnxModel({
      inputs: { x: 'int32[2]', z: 'int32[2]' },
      outputs: { y: 'int32[2]' },
      nodes: [{ op: 'Add', inputs: ['x', 'z'], outputs: ['y'] }],
    })
    const failed = buildModel('add', add, [{ ...open, values: { z: { min: [1, 1], opt: [1, 1], max: [1, 1] } } }])
    await expect(failed).rejects.toMatchObject({
      code: 'COMPILE_FAILED',
      message: expect.stringContaining(`input 'z' is not a shape tensor: a profile bounds its dims, not its values`),
    })
  })
})

describe('inputs of an engine', () => {
  const ports = [
    { name: 'x', dtype: 'float32', input: true, dims: [-1, 4] },
    { name: 'shape', dtype: 'int64', input: true, dims: [2] },
  ]
  const profiles = [
    { min: [[1, 4], [2]], max: [[8, 4], [2]], minValues: [[], [1, 4]], maxValues: [[], [8, 4]] },
    { min: [[9, 4], [2]], max: [[16, 4], [2]], minValues: [[], [1, 4]], maxValues: [[], [16, 4]] },
  ]
  const refuse = (n: number, ...shape: readonly number[]) =>
    checkProfiles(
      { profiles, ports },
      [
        { bytes: new Uint8Array(n * 16), dims: [n, 4] },
        { bytes: new Uint8Array(BigInt64Array.from(shape, BigInt).buffer), dims: [2] },
      ],
      'model',
    )

  test.each([
    [1, 1, 4],
    [8, 8, 4],
    [9, 16, 4],
  ])('fit a profile by dims and values: %i rows, values %i and %i', (n, ...shape) => {
    expect(refuse(n, ...shape)).toBeUndefined()
  })

  test.each([
    [17, 1, 4],
    [8, 9, 4],
    [9, 17, 4],
    [1, 1, -1],
  ])('that fit none are named with what would: %i rows, values %i and %i', (n, ...shape) => {
    expect(() => refuse(n, ...shape)).toThrow(
      expect.objectContaining({
        code: 'INPUT_INVALID',
        message: `model, inputs: expected what fits an optimization profile: x [1..8,4] with shape [2] with values [1..8,4], or x [9..16,4] with shape [2] with values [1..16,4], received x [${n},4] with shape [2] with values [${shape.join(',')}]`,
      }),
    )
  })
})

describe('the version of the library', () => {
  const built = '11.4.1.106'
  const older = 'a version-compatible plan runs on that release and later ones'
  const stays = 'a version-compatible plan stays within TensorRT 11'

  test.each([
    ['11.4.1.106', 'the same', undefined, undefined],
    ['11.4.1.107', 'a later build', 'engines never cross releases', undefined],
    ['11.4.2.1', 'a later patch', 'engines never cross releases', undefined],
    ['11.10.0.3', 'a later minor version', 'engines never cross releases', undefined],
    ['11.4.0.200', 'an earlier patch', 'engines never cross releases', older],
    ['11.3.9.999', 'an earlier minor version', 'engines never cross releases', older],
    ['12.0.0.1', 'a later major version', 'engines never cross releases', stays],
    ['10.16.1.11', 'an earlier major version', 'engines never cross releases', stays],
  ])('%s, %s, decides whether an engine runs, and a version-compatible plan', (installed, _, engine, plan) => {
    expect(versionRefusal({ version: built }, installed)).toBe(engine)
    expect(versionRefusal({ version: built, versionCompatible: true }, installed)).toBe(plan)
  })
})

describe('of several GPUs', () => {
  const machine = {
    reason: '',
    driver: '580.95.05',
    cuda: '13.0',
    gpus: [
      ['GTX 1080', 'sm61'],
      ['RTX 3060', 'sm86'],
      ['RTX 4090', 'sm89'],
    ].map(([name = '', computeCapability = '']) => ({
      name,
      computeCapability,
      multiprocessors: 1,
      l2Bytes: 1,
      memoryBusBits: 1,
      memoryBytes: 1,
    })),
  }
  const requires = { version: '1.7.1.116', targets: ['sm86', 'sm89'], platform: 'linux', arch: 'x64' }
  const plan = {
    version: '11.4.0.1',
    gpu: 'RTX 4090',
    computeCapability: 'sm89',
    driver: '580.95.05',
    platform: 'linux',
    arch: 'x64',
  }

  test('the first is taken that an engine was built for, or the one that the caller names', () => {
    expect(chooseGpu('tensorrt-rtx', requires, machine)).toMatchObject({ index: 1, gpu: { name: 'RTX 3060' } })
    expect(chooseGpu('tensorrt-rtx', requires, machine, 2)).toMatchObject({ index: 2, gpu: { name: 'RTX 4090' } })
    expect(chooseGpu('tensorrt', plan, machine)).toMatchObject({ index: 2 })
    expect(chooseGpu('tensorrt', { ...plan, computeCapability: 'sm80+' }, machine)).toMatchObject({ index: 1 })
  })

  test.each([
    [requires, machine, 0, 'compiled for sm86, sm89, but GPU 0 is GTX 1080 (sm61)'],
    [requires, machine, 7, 'there is no GPU 7: this machine has GTX 1080 (sm61), RTX 3060 (sm86), RTX 4090 (sm89)'],
    [
      { ...requires, targets: ['sm120'] },
      machine,
      undefined,
      'compiled for sm120, but this machine has GTX 1080 (sm61), RTX 3060 (sm86), RTX 4090 (sm89)',
    ],
    [requires, { ...machine, gpus: [] }, undefined, 'compiled for sm86, sm89, but this machine has none'],
  ])('one that does not fit is refused in words: %#', (needs, probe, wanted, reason) => {
    expect(chooseGpu('tensorrt-rtx', needs, probe, wanted)).toEqual({ reason })
  })
})

describe('kernels that were compiled for a GPU', () => {
  test('are kept for the next start', async () => {
    expect(await openKernelCache(kernelFile('kept')).read()).toEqual(new Uint8Array(0))
    await openKernelCache(kernelFile('kept')).save(bytes(100))
    expect(new Uint8Array(await openKernelCache(kernelFile('kept')).read())).toEqual(bytes(100))
  })

  test.each([
    ['truncated', (stored: Buffer) => stored.subarray(0, 50)],
    ['with a flipped bit', (stored: Buffer) => stored.map((byte, index) => (index === 60 ? byte ^ 1 : byte))],
    ['empty', () => Buffer.alloc(0)],
  ])('in a file that is %s are forgotten', async (name, damage) => {
    await openKernelCache(kernelFile(name)).save(bytes(100))
    writeFileSync(kernelFile(name), damage(readFileSync(kernelFile(name))))
    expect(await openKernelCache(kernelFile(name)).read()).toEqual(new Uint8Array(0))
  })

  test('are written once, whole, by many at a time', async () => {
    await Promise.all(
      Array.from({ length: 8 }, (_, value) => openKernelCache(kernelFile('many')).save(bytes(10_000, value))),
    )
    expect(new Set(await openKernelCache(kernelFile('many')).read()).size).toBe(1)
    expect(readdirSync(join(folder, 'kernels-many'))).toEqual(['engine'])
  })

  test('are not written again when nothing was compiled', async () => {
    await openKernelCache(kernelFile('same')).save(bytes(100))
    const cache = openKernelCache(kernelFile('same'))
    const kernels = new Uint8Array(await cache.read())
    utimesSync(kernelFile('same'), 1000, 1000)
    await cache.save(kernels)
    expect(statSync(kernelFile('same')).mtimeMs).toBe(1_000_000)
  })

  test('are not kept when they are too large, and push out those that were not used for longest', async () => {
    const limits = { file: 100, folder: 300 }
    const place = (name: string) => join(folder, 'kernels-bounded', name)
    await openKernelCache(place('large'), limits).save(bytes(101))
    for (const [index, name] of ['a', 'b'].entries()) {
      await openKernelCache(place(name), limits).save(bytes(100))
      utimesSync(place(name), 1000 + index, 1000 + index)
    }
    await openKernelCache(place('a'), limits).read()
    await openKernelCache(place('c'), limits).save(bytes(100))
    expect(readdirSync(join(folder, 'kernels-bounded')).sort()).toEqual(['a', 'c'])
  })

  // Node's own recursive mkdir never ends below /proc.
  test.each([join(folder, 'a file'), ...(process.platform === 'linux' ? ['/proc/unplugin-onnx/kernels'] : [])])(
    'that cannot be written, as below %s, are no failure',
    async (place) => {
      writeFileSync(join(folder, 'a file'), '')
      await expect(openKernelCache(join(place, 'engine')).save(bytes(100))).resolves.toBeUndefined()
    },
  )
})

function buildModel(name: string, bytes: Uint8Array, profiles: readonly Profile[]): Promise<Built> {
  return build(folder, write(`${name.replaceAll(/\W/g, '-')}.onnx`, bytes), { ...rtx, profiles })
}

function kernelFile(name: string): string {
  return join(folder, `kernels-${name}`, 'engine')
}

function bytes(size: number, value = 1): Uint8Array {
  return new Uint8Array(size).fill(value)
}

function write(name: string, bytes: Uint8Array): string {
  const file = join(folder, name)
  writeFileSync(file, bytes)
  return file
}
