import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createModel } from 'unplugin-onnx/runtime'
import { describe, expect, test, vi } from 'vitest'
import { loadAddon } from '../../native/load-addon.ts'
import type { GpuProbe } from '../../native/load-addon.ts'
import { tensorrtFamily } from '../../native/tensorrt-wheels.ts'
import { setUpLibrary } from '../../plugin/cli/set-up-library.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel, identityModel, onnxModel } from '../support/models.ts'
import { build, ocrModel } from '../support/openvino-models.ts'
import { lightNets, orSkip } from '../support/python.ts'
import { defaultSettings, missingTensorRtRtx, rtxFolder } from '../support/tensorrt-library.ts'

const missing = missingTensorRtRtx()
const folder = tempFolder()
const driver = missing ? undefined : await probeDriver()
const hasGpu = driver?.reason === ''
const noDriver =
  process.platform === 'win32' ? 'no NVIDIA driver found (nvcuda.dll)' : 'no NVIDIA driver found (libcuda.so.1)'
const rtx = { backends: ['tensorrt-rtx'] } as const
const rtxFamilies = [
  { version: '1.7.1.116', addon: 'tensorrt_rtx_1_7' },
  { version: '1.6.1.120', addon: 'tensorrt_rtx_1_6' },
  { version: '1.5.0.114', addon: 'tensorrt_rtx_1_5' },
] as const
const widths = { min: { x: [1, 3, 48, 32] }, opt: { x: [1, 3, 48, 320] }, max: { x: [1, 3, 48, 1280] } }

describe.skipIf(missing)('TensorRT-RTX engine', () => {
  test.each([
    ['the detector', 'det_infer.onnx', { shapes: { x: [1, 3, 160, 224] } }, true],
    ['the classifier', 'cls_infer.onnx', { shapes: { x: [1, 3, 48, 192] } }, true],
    // The builder gives this one other bytes each time: four builds, four engines of one size.
    ['the recogniser, with a profile of its width', 'rec_infer.onnx', { profiles: [widths] }, false],
  ] as const)(
    'an engine of %s is built without a GPU, and a hit gives the bytes of the miss',
    async (_, ending, options, repeatable) => {
      const file = ocrModel(ending)
      const first = await build(folder, file, { ...rtx, ...options })
      const [variant] = first.compiled.variants
      expect(variant).toMatchObject({
        backend: 'tensorrt-rtx',
        engine: 'fp32',
        label: '',
        extension: '.engine',
        requires: {
          version: '1.7.1.116',
          targets: ['sm86', 'sm89', 'sm120'],
          platform: process.platform,
          arch: process.arch,
        },
        cache: { hit: false },
      })
      const again = (await build(folder, file, { ...rtx, ...options })).compiled.variants[0]
      expect(again?.cache).toMatchObject({ hit: true })
      const bytes = readFileSync(String(again?.artifact.file))
      expect(bytes.length).toBeGreaterThan(100_000)
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(variant?.artifact.sha256)
      const elsewhere = repeatable
        ? (await build(join(folder, 'elsewhere'), file, { ...rtx, ...options })).compiled.variants[0]
        : variant
      expect(elsewhere?.artifact.sha256).toBe(variant?.artifact.sha256)
      expect(elsewhere?.artifact.key.digest).toBe(variant?.artifact.key.digest)
    },
  )

  test('each network of the ONNX library is built', async () => {
    const nets = await orSkip('the light_* nets of the ONNX library', lightNets)
    if (nets === undefined) return
    const names = readdirSync(nets).filter((name) => name.endsWith('.onnx'))
    expect(names).toHaveLength(9)
    const built = await Promise.all(
      names.map((name) =>
        build(folder, join(nets, name), {
          ...rtx,
          targets: ['sm86', 'sm89', 'sm120'],
          tensorrtRtx: { builderOptimizationLevel: 0 },
        }),
      ),
    )
    for (const {
      compiled: {
        variants: [variant],
      },
    } of built) {
      expect(variant?.artifact.size).toBeGreaterThan(100_000)
      expect(variant?.requires).toMatchObject({ targets: ['sm86', 'sm89', 'sm120'] })
    }
  }, 180_000)

  test('external data, and paths with spaces, Unicode and 300 characters are read', async () => {
    const deep = join(folder, 'ein Ordner mit Ümläuten 模型', 'x'.repeat(120), 'y'.repeat(120))
    mkdirSync(deep, { recursive: true })
    const file = join(deep, 'außen.onnx')
    writeFileSync(join(deep, 'weights.bin'), new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer))
    writeFileSync(
      file,
      onnxModel({
        inputs: { x: 'float32[1,4]' },
        outputs: { y: 'float32[1,4]' },
        nodes: [{ op: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
        initializers: {
          w: { dtype: 'float32', dims: [1, 4], data: [], external: { location: 'weights.bin', length: 16 } },
        },
      }),
    )
    const { compiled } = await build(folder, file, rtx)
    expect(compiled.variants).toHaveLength(1)
  })

  test('Turing gets its own engine, because TensorRT-RTX cannot build for it and newer GPUs at once', async () => {
    const file = write(
      'relu.onnx',
      onnxModel({
        inputs: { x: 'float32[1,4]' },
        outputs: { y: 'float32[1,4]' },
        nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }],
      }),
    )
    const { compiled } = await build(folder, file, { ...rtx, targets: ['sm75', 'sm89'] })
    expect(compiled.variants.map(({ label, requires }) => [label, 'targets' in requires && requires.targets])).toEqual([
      ['', ['sm89']],
      ['turing', ['sm75']],
    ])
  })

  test.each(rtxFamilies)('a release is built by its addon $addon', async ({ version, addon }) => {
    const { compiled } = await build(folder, write('affine.onnx', affineModel()), {
      ...rtx,
      tensorrtRtx: { library: rtxFolder(version) },
    })
    expect(compiled.variants[0]?.requires.version).toBe(version)
    expect(compiled.variants[0]?.artifact.key.facts).toMatchObject({ addon, 'tensorrt-rtx': version })
  })
})

describe.skipIf(missing)('failed TensorRT-RTX build', () => {
  const gemm = onnxModel({
    inputs: { x: 'float32[4,64]' },
    outputs: { y: 'float32[4,64]' },
    nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
    initializers: {
      w: { dtype: 'float32', dims: [64, 64], data: Array.from({ length: 4096 }, (_, index) => index % 7) },
    },
  })
  const unknown = onnxModel({
    inputs: { x: 'float32[1,4]' },
    outputs: { z: 'float32[1,4]' },
    nodes: [
      { op: 'Frobnicate', name: 'first', inputs: ['x'], outputs: ['y'], domain: 'example' },
      { op: 'Transmogrify', name: 'second', inputs: ['y'], outputs: ['z'], domain: 'example' },
    ],
    opsets: { example: 1 },
  })
  const dynamic = affineModel({ dims: 'batch,4' })

  test.each([
    [
      'with an operator that nobody knows',
      {
        bytes: unknown,
        options: {},
        code: 'COMPILE_FAILED',
        message:
          /TensorRT-RTX 1\.7\.1\.116 cannot build the model for sm86, sm89, sm120: the ONNX parser reports: node 0 'first' \(Frobnicate\): .+\nnode 1 'second' \(Transmogrify\): .+/,
      },
    ],
    [
      'with sm90',
      {
        bytes: affineModel(),
        options: { targets: ['sm90'] },
        code: 'OPTION_INVALID',
        message: /targets of tensorrt-rtx: expected some of sm75, sm80, sm86, sm89, sm120, sm121, received sm90/,
      },
    ],
    [
      'with fp32 GEMM on Turing',
      {
        bytes: gemm,
        options: { targets: ['sm75'] },
        code: 'COMPILE_FAILED',
        message: /for sm75: .*FP32 GEMM is not supported/s,
      },
    ],
    [
      'without bounds',
      {
        bytes: dynamic,
        options: {},
        code: 'SHAPE_INVALID',
        message:
          /input 'x' \[batch, 4\] with tensorrt-rtx: .*\(\?shapes=x:1x4\) or with a profile \(\?min=x:1x4&opt=x:1x4&max=x:8x4\)/,
      },
    ],
    [
      'with a profile that lies',
      {
        bytes: dynamic,
        options: { profiles: [{ min: { x: [4, 4] }, opt: { x: [2, 4] }, max: { x: [8, 4] } }] },
        code: 'SHAPE_INVALID',
        message: /min <= opt <= max/,
      },
    ],
    [
      'with a dtype that it would change',
      {
        bytes: identityModel(['float64']),
        options: {},
        code: 'MODEL_UNSUPPORTED',
        message: /binding 'float64_in' with tensorrt-rtx: expected one of .*, received float64/,
      },
    ],
  ] as const)('%s is an error with its reason', async (name, { bytes, options, code, message }) => {
    const failed = build(folder, write(`${name.replaceAll(' ', '-')}.onnx`, bytes), { ...rtx, ...options })
    await expect(failed).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  })

  test('engine=auto keeps the CPU engine, and logs it', async () => {
    const { compiled, lines } = await build(folder, write('auto.onnx', dynamic), { backends: 'auto' })
    expect(compiled.variants.some(({ backend }) => backend === 'onnxruntime')).toBe(true)
    expect(lines.filter((line) => line.includes('tensorrt-rtx')).join('\n')).toMatch(
      /passed over .*input 'x' \[batch, 4\] with tensorrt-rtx/,
    )
  })

  test.each<[string, () => string, RegExp]>([
    [
      'that is not there',
      () => join(folder, 'nowhere'),
      /the library of TensorRT-RTX was not found; tried the option tensorrtRtx\.library \(.*nowhere\)/,
    ],
    [
      'that is no library',
      () => fake('text', 'not a library'),
      /text.*cannot be used: .*(invalid ELF header|file too short)/,
    ],
    ['of something else', () => fakeLibrary('else'), /cannot be used: .*is not a TensorRT.*it lacks getInferLib/],
    ['without its parser', () => lonely(), /has no ONNX parser next to it/],
  ])('a library %s is named in the error', async (_, library, message) => {
    const failed = build(folder, write('affine.onnx', affineModel()), { ...rtx, tensorrtRtx: { library: library() } })
    await expect(failed).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', message: expect.stringMatching(message) })
  })

  test('the addon of another family, which would call wrong functions, is refused', async () => {
    const loaded = loadAddon('tensorrt_rtx_1_7')
    if ('reason' in loaded) throw new Error(loaded.reason)
    const [library, parser] = ['libtensorrt_rtx.so.1', 'libtensorrt_onnxparser_rtx.so.1'].map((name) =>
      join(rtxFolder('1.6.1.120'), 'lib', name),
    )
    const settings = {
      parser: String(parser),
      plugins: '',
      model: write('affine.onnx', affineModel()),
      output: join(folder, 'never.engine'),
      computeCapabilities: [86],
      ...defaultSettings,
      verbose: false,
    } as const
    await expect(loaded.addon.build(String(library), settings, () => {})).rejects.toThrow(
      `${library} is TensorRT-RTX 1.6.1.120, but this addon (tensorrt_rtx_1_7) is for 1.7`,
    )
  })

  test('two builds of one key give one engine', async () => {
    const own = join(folder, 'twice')
    const file = write('twice.onnx', affineModel({ weight: 7 }))
    const both = await Promise.all([1, 2].map(() => build(own, file, rtx)))
    expect(new Set(both.map(({ compiled }) => compiled.variants[0]?.artifact.sha256)).size).toBe(1)
  })
})

describe.skipIf(missing)('TensorRT-RTX at run time', () => {
  const both = { backends: ['tensorrt-rtx', 'onnxruntime'] } as const

  test.skipIf(hasGpu)('a machine without a GPU runs the CPU engine, and reports why', async () => {
    const { manifest } = await build(folder, write('affine.onnx', affineModel()), both)
    expect(manifest.variants[0]?.backend).toBe('tensorrt-rtx')
    await using model = createModel(manifest)
    const { y } = await model.infer({ x: { data: Float32Array.of(1, 2, 3, 4), dims: [1, 4] } })
    expect(y?.data).toEqual(Float32Array.of(3, 5, 7, 9))
    expect(model.variant).toMatchObject({
      backend: 'onnxruntime',
      skipped: [{ backend: 'tensorrt-rtx', engine: 'fp32', reason: noDriver }],
    })
  })

  test.skipIf(hasGpu)('a model that requires the GPU fails there, with the reason', async () => {
    const { manifest } = await build(folder, write('affine.onnx', affineModel()), both)
    await expect(createModel(manifest, { require: 'tensorrt-rtx' }).load()).rejects.toMatchObject({
      code: 'NO_VARIANT',
      message: expect.stringContaining(`tensorrt-rtx fp32 (${noDriver})`),
    })
  })

  test('an engine of another system is skipped', async () => {
    const { manifest } = await build(folder, write('affine.onnx', affineModel()), both)
    const variants = manifest.variants.map((variant) =>
      variant.backend === 'tensorrt-rtx' ? { ...variant, requires: { ...variant.requires, arch: 'riscv64' } } : variant,
    )
    await using model = createModel({ ...manifest, variants })
    await model.load()
    expect(model.variant?.skipped[0]?.reason).toBe(
      `compiled for ${process.platform} riscv64, this machine is ${process.platform} ${process.arch}`,
    )
  })
})

test('setup asks for an agreement to the license before it downloads', async () => {
  vi.stubEnv('XDG_CACHE_HOME', join(folder, 'empty cache'))
  vi.stubEnv('LOCALAPPDATA', join(folder, 'empty cache'))
  await expect(setUpLibrary('tensorrt-rtx')).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    message: expect.stringContaining('expected --accept-license'),
  })
  vi.unstubAllEnvs()
})

test('a release is built by the addon of its family, or by none', () => {
  expect(tensorrtFamily('tensorrt-rtx', '1.7.1.116')?.addon).toBe('tensorrt_rtx_1_7')
  expect(tensorrtFamily('tensorrt-rtx', '1.5.0.114')?.addon).toBe('tensorrt_rtx_1_5')
  expect(tensorrtFamily('tensorrt-rtx', '1.8.0.1')).toBeUndefined()
  expect(tensorrtFamily('tensorrt-rtx', '1.4.0.76')).toBeUndefined()
  expect(tensorrtFamily('tensorrt', '11.4.0.106')?.addon).toBe('tensorrt_11')
  expect(tensorrtFamily('tensorrt', '11.9.0.1')?.addon).toBe('tensorrt_11')
  expect(tensorrtFamily('tensorrt', '11.0.0.114')?.addon).toBe('tensorrt_11')
  expect(tensorrtFamily('tensorrt', '10.16.0.1')?.addon).toBe('tensorrt_10')
  expect(tensorrtFamily('tensorrt', '10.0.1.6')?.addon).toBe('tensorrt_10')
  expect(tensorrtFamily('tensorrt', '8.6.1.6')).toBeUndefined()
})

async function probeDriver(): Promise<GpuProbe> {
  const loaded = loadAddon('tensorrt_rtx_1_7')
  if ('reason' in loaded) throw new Error(loaded.reason)
  return loaded.addon.gpus()
}

function write(name: string, bytes: Uint8Array): string {
  const file = join(folder, name)
  writeFileSync(file, bytes)
  return file
}

/** A folder with two files under the names of the library and its parser. */
function fake(name: string, text: string): string {
  const made = join(folder, name)
  mkdirSync(made)
  for (const library of ['libtensorrt_rtx.so.1', 'libtensorrt_onnxparser_rtx.so.1'])
    writeFileSync(join(made, library), text)
  return made
}

function fakeLibrary(name: string): string {
  const made = fake(name, '')
  for (const library of readdirSync(made))
    copyFileSync(join(rtxFolder(), 'lib', 'libtensorrt_onnxparser_rtx.so.1'), join(made, library))
  return made
}

function lonely(): string {
  const made = join(folder, 'lonely')
  mkdirSync(made)
  writeFileSync(join(made, 'libtensorrt_rtx.so.1'), '')
  return made
}
