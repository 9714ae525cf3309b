import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Profile } from '../../plugin/options/types.ts'
import { engineFile } from '../../runtime/artifact.ts'
import type { VariantManifest } from '../../runtime/manifest.ts'
import { tensorrtRtxRunner } from '../../runtime/tensorrt/runner.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel, onnxModel } from '../support/models.ts'
import { build, type Built } from '../support/openvino-models.ts'
import { missingTensorRtRtx, rtxFolder } from '../support/tensorrt-library.ts'

const missing = missingTensorRtRtx()
const folder = tempFolder()
const rtx = { backends: ['tensorrt-rtx'] } as const

describe.skipIf(missing)('engine file of TensorRT-RTX', () => {
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
    'a file %s is refused without a GPU, although its checksum is right',
    async (name, bytes, message) => {
      const failed = open(name, bytes())
      await expect(failed).rejects.toMatchObject({ code: 'ARTIFACT_INVALID', message: expect.stringMatching(message) })
      await expect(failed).rejects.toThrow('expected an engine of TensorRT-RTX 1.7.1.116')
    },
  )

  test.each([
    ['of any bit', () => flipped(engine.length - 1000)],
    ['of its length', () => engine.subarray(0, -1)],
  ])('a file that has changed since the build, %s, fails its checksum', async (name, bytes) => {
    const { sha256, size } = variant
    await expect(open(name, bytes(), { sha256, size })).rejects.toMatchObject({
      code: 'ARTIFACT_INVALID',
      message: expect.stringContaining('changed or truncated after the build'),
    })
  })

  test('a whole file passes the check of its header', async () => {
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
      tensorrtRtxRunner.open({ ...variant, ...shipped, file }, engineFile(file, shipped, 'affine'), bindings, {
        model: 'affine',
        device: 99,
      }),
    )
  }
})

describe.skipIf(missing)('shape tensor', () => {
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
  ])('a shape tensor %s is built with bounds of its values', async (name, bytes, profile, fact) => {
    const { compiled } = await buildModel(name, bytes, [profile])
    expect(compiled.variants[0]?.artifact.key.facts['profiles']).toContain(fact)
  })

  test.each([
    [
      'without bounds',
      {
        bytes: expand,
        profiles: [],
        code: 'COMPILE_FAILED',
        message:
          /input 'shape' is a shape tensor: .*Give the option profiles: \[\{ min: \{\}, opt: \{\}, max: \{\}, values: \{ shape: \{ min: \[1, 1\], opt: \[1, 1\], max: \[1, 1\] \} \} \}\]/,
      },
    ],
    [
      'without bounds in one of the profiles',
      {
        bytes: slice,
        profiles: [{ min: { x: [1, 64] }, opt: { x: [2, 64] }, max: { x: [4, 64] } }],
        code: 'COMPILE_FAILED',
        message: /Add to each of the profiles values: \{ end:/,
      },
    ],
    [
      'that is none',
      {
        bytes: slice,
        profiles: [
          {
            min: { x: [1, 64] },
            opt: { x: [2, 64] },
            max: { x: [4, 64] },
            values: { end: { min: [1], opt: [2], max: [3] }, x: { min: [1], opt: [1], max: [1] } },
          },
        ],
        code: 'SHAPE_INVALID',
        message:
          /profiles\[0\]\.values\.x: expected an input of int32 or int64, as shape tensors are, received float32/,
      },
    ],
    [
      'that the model does not have',
      {
        bytes: expand,
        profiles: [{ ...open, values: { shap: { min: [1], opt: [1], max: [1] } } }],
        code: 'SHAPE_INVALID',
        message: /profiles\[0\]\.values\.shap: expected one of the model's inputs .*Did you mean 'shape'\?/,
      },
    ],
    [
      'with too few values',
      {
        bytes: expand,
        profiles: [{ ...open, values: { shape: { min: [1], opt: [8], max: [16] } } }],
        code: 'SHAPE_INVALID',
        message: /profiles\[0\]\.values\.shape\.min: expected 2 values, received 1/,
      },
    ],
    [
      'with half a value',
      {
        bytes: expand,
        profiles: [{ ...open, values: { shape: { min: [1, 1.5], opt: [8, 4], max: [16, 4] } } }],
        code: 'SHAPE_INVALID',
        message: /profiles\[0\]\.values\.shape\.min\[1\]: expected a whole number, received 1\.5/,
      },
    ],
    [
      'with bounds that lie',
      {
        bytes: expand,
        profiles: [{ ...open, values: { shape: { min: [9, 4], opt: [8, 4], max: [16, 4] } } }],
        code: 'SHAPE_INVALID',
        message: /expected min <= opt <= max for each value, received min \[9, 4\]/,
      },
    ],
  ])('a shape tensor %s is an error that says what to write', async (name, { bytes, profiles, code, message }) => {
    await expect(buildModel(name, bytes, profiles)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    })
  })

  test('an input that is no shape tensor cannot have bounds of its values', async () => {
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

function buildModel(name: string, bytes: Uint8Array, profiles: readonly Profile[]): Promise<Built> {
  return build(folder, write(`${name.replaceAll(/\W/g, '-')}.onnx`, bytes), { ...rtx, profiles })
}

function write(name: string, bytes: Uint8Array): string {
  const file = join(folder, name)
  writeFileSync(file, bytes)
  return file
}
