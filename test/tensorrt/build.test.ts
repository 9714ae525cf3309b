import { execFileSync, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { writeModel } from '../../plugin/api.ts'
import { runChild } from '../../plugin/child/run.ts'
import type { Options } from '../../plugin/options/types.ts'
import { openProject } from '../../plugin/project/project.ts'
import { compilers, tempFolder } from '../support/helpers.ts'
import { affineModel, onnxModel } from '../support/models.ts'
import { build, ocrModel, root } from '../support/openvino-models.ts'
import { missingTensorRtRtx, rtxFolder, rtxSettings } from '../support/tensorrt-library.ts'

const missing = missingTensorRtRtx()
const isLinux = process.platform === 'linux'
const folder = tempFolder()
const rtx = { backends: ['tensorrt-rtx'], types: false } as const satisfies Options
const detector = { shapes: { x: [1, 3, 64, 64] } }
const cli = join(root, 'dist', 'plugin', 'cli.js')

describe.skipIf(missing)('model that TensorRT-RTX cannot build', () => {
  const recogniser = ocrModel('rec_infer.onnx')
  // Turing has no fp32 GEMM.
  const products = write('products.onnx', matrixModel())

  test.each<[string, { file: string; options: Options; code: string; message: RegExp }]>([
    [
      'on which the builder itself fails',
      {
        file: products,
        options: { targets: ['sm75'] },
        code: 'COMPILE_FAILED',
        message: /^products: TensorRT-RTX 1\.7\.1\.116 cannot build the model for sm75: .*Error.*backends/s,
      },
    ],
    [
      'whose profile breaks the bounds of a node inside',
      {
        file: recogniser,
        options: { profiles: [{ min: { x: [1, 3, 48, 1] }, opt: { x: [1, 3, 48, 4] }, max: { x: [1, 3, 48, 8] } }] },
        code: 'COMPILE_FAILED',
        message:
          /^ch_PP-OCRv4_rec_infer: .* for sm86, sm89, sm120: .*kOPT values for profile 0 violate shape constraints/s,
      },
    ],
    [
      'whose profile changes a dim that is fixed',
      {
        file: recogniser,
        options: {
          profiles: [{ min: { x: [1, 1, 48, 32] }, opt: { x: [1, 3, 48, 320] }, max: { x: [1, 3, 48, 640] } }],
        },
        code: 'SHAPE_INVALID',
        message: /profiles\[0\]\.min\.x\[1\].*expected 3, which is static in the model, received 1/,
      },
    ],
    [
      'whose profile has another rank',
      {
        file: recogniser,
        options: { profiles: [{ min: { x: [3, 48, 32] }, opt: { x: [3, 48, 320] }, max: { x: [3, 48, 640] } }] },
        code: 'SHAPE_INVALID',
        message: /profiles\[0\]\.min\.x: expected rank 4/,
      },
    ],
    [
      'whose profile names an input that it lacks',
      {
        file: recogniser,
        options: { profiles: [{ min: { y: [1] }, opt: { y: [1] }, max: { y: [1] } }] },
        code: 'SHAPE_INVALID',
        message: /profiles\[0\]\.min\.y: expected one of the model's inputs \('x'\)/,
      },
    ],
    [
      'that is to be refitted, without a driver',
      {
        file: write('refit.onnx', affineModel({ weight: 3 })),
        options: { tensorrtRtx: { refit: true } },
        code: 'COMPILE_FAILED',
        message: /^refit: .*'refit' takes one target. It and, for most models, 'stripPlan' need an NVIDIA driver/s,
      },
    ],
    [
      'of 0 bytes',
      {
        file: write('empty.onnx', ''),
        options: {},
        code: 'MODEL_INVALID',
        message: /empty\.onnx.*received an empty file/,
      },
    ],
  ])('%s is an error that names the node and the reason', async (_, { file, options, code, message }) => {
    await expect(build(folder, file, { ...rtx, ...options })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    })
  })

  test('engine=auto leaves the model to the CPU with one warning', async () => {
    const { compiled, lines } = await build(folder, products, { backends: 'auto', targets: ['sm75'] })
    expect(compiled.variants.map(({ backend }) => backend)).toContain('onnxruntime')
    const about = lines.filter((line) => line.includes('built without'))
    expect(about).toEqual([expect.stringMatching(/^warning: products: built without tensorrt-rtx: .*sm75: .*Error/)])
    expect(lines.join('\n')).not.toMatch(/cudaError|\n\[graphScope/)
  })

  test.skipIf(!isLinux)('an unknown version of the library is an error with both versions', async () => {
    const file = write('affine.onnx', affineModel())
    const failed = build(folder, file, { ...rtx, tensorrtRtx: { library: foreignLibrary([1, 8, 0, 12]) } })
    await expect(failed).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringMatching(
        /libtensorrt_rtx\.so\.1 is TensorRT-RTX 1\.8\.0\.12; this version of unplugin-onnx knows 1\.7, 1\.6 or 1\.5/,
      ),
    })
  })
})

describe.skipIf(missing)('progress of a TensorRT build', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  test('a line has the time, the phase of the builder and the last duration; details come with verbose', async () => {
    const own = join(folder, 'progress')
    const file = write('slow.onnx', readFileSync(ocrModel('cls_infer.onnx')))
    const options = { ...rtx, shapes: { x: [1, 3, 48, 192] } }
    const first = await build(own, file, options)
    expect(first.lines).toEqual([
      expect.stringMatching(/^slow {2}fp32 {2}tensorrt-rtx {2}miss: new/),
      'slow  fp32  tensorrt-rtx: not verified: it takes a GPU to run it',
    ])
    const second = await build(
      own,
      file,
      { ...options, verbose: true, tensorrtRtx: { maxAuxStreams: 1 } },
      { onLine: passTime },
    )
    expect(second.lines.length).toBeGreaterThan(100)
    expect(second.lines).toContainEqual(
      expect.stringMatching(/^slow {2}fp32 {2}tensorrt-rtx: 5 s, compiling, \d+\.\d s the last time$/),
    )
    expect(second.lines).toContainEqual(
      expect.stringMatching(
        /^slow {2}fp32 {2}tensorrt-rtx: \d+ s, (Building|Optimizing|Computing|Timing)[\w ]*, \d+\.\d s the last time$/,
      ),
    )
  })
})

// Other systems list processes and limit memory in other ways; what is tested is the same on all.
describe.skipIf(missing || !isLinux)('TensorRT build that ends early', () => {
  test.each(['SIGKILL', 'SIGSEGV'] as const)(
    'a build that ends by %s is an error and leaves nothing',
    async (signal) => {
      const own = join(folder, signal)
      const failed = build(own, ocrModel('det_infer.onnx'), { ...rtx, ...detector })
      failed.catch(() => {})
      // Simplifying is no reason to fail a build: the compiler starts after that process has died, and dies too.
      const killed = new Set<number>()
      for (const _ of ['simplifying', 'compiling']) {
        const others = () => compilers().filter((id) => !killed.has(id))
        await vi.waitFor(() => expect(others()).toHaveLength(1), { timeout: 60_000, interval: 5 })
        const [id] = others()
        killed.add(id!)
        process.kill(id!, signal)
      }
      await expect(failed).rejects.toMatchObject({
        code: 'COMPILE_FAILED',
        message: expect.stringContaining(`the compiler process was killed by ${signal} before it finished`),
      })
      await nothingLeft(own)
    },
  )

  test('a build without enough memory is an error and leaves nothing', async () => {
    // 256 MiB of weights, which the builder holds more than once, in an address space that takes them once.
    const side = 2 ** 13
    const length = 4 * side * side
    const file = write(
      'large.onnx',
      onnxModel({
        inputs: { x: `float32[1,${side}]` },
        outputs: { y: `float32[1,${side}]` },
        nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
        initializers: {
          w: { dtype: 'float32', dims: [side, side], data: [], external: { location: 'zeros.bin', length } },
        },
      }),
    )
    truncateSync(write('zeros.bin', ''), length)
    const own = join(folder, 'memory')
    const command = 'ulimit -v 1800000; exec "$0" "$@"'
    const child = spawn('sh', [
      '-c',
      command,
      process.execPath,
      cli,
      'build',
      file,
      '--backend',
      'tensorrt-rtx',
      '--cache-dir',
      join(own, 'cache'),
      '--out',
      own,
    ])
    const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
    expect(code).toBe(1)
    // Where it runs out decides whose words these are: the parser's, the builder's, or the system's.
    expect(stderr).toMatch(
      /^large: (TensorRT-RTX [\d.]+ cannot build the model for sm86, sm89, sm120: .+|the compiler process (was killed by SIG|exited with code ).+)/m,
    )
    await nothingLeft(own)
  })

  // Moments by what the builder has said so far, not by the clock.
  test.each([0, 1, 10, 300, 3000, 8000])(
    'a build cancelled after %i lines of its log leaves nothing',
    async (moment) => {
      const controller = new AbortController()
      const own = join(folder, `cancelled-${moment}`)
      let lines = 0
      const count = () => void (++lines === moment && controller.abort())
      const failed = build(
        own,
        ocrModel('det_infer.onnx'),
        { ...rtx, ...detector, verbose: true },
        { signal: controller.signal, onLine: count },
      )
      if (moment === 0) controller.abort()
      await expect(failed).rejects.toMatchObject({ code: 'COMPILE_ABORTED' })
      await nothingLeft(own)
    },
  )

  test('a cancelled build does not disturb another process that builds the same engine', async () => {
    const own = join(folder, 'both')
    const file = write('both.onnx', affineModel({ weight: 9 }))
    const builders = [1, 2].map(async (number) => {
      const child = spawn(process.execPath, [
        cli,
        'build',
        file,
        '--backend',
        'tensorrt-rtx',
        '--cache-dir',
        join(own, 'cache'),
        '--out',
        join(own, `${number}`),
        '--json',
        '--verbose',
      ])
      const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
      return { variants: (JSON.parse(stdout) as { variants: { artifact: { sha256: string } }[] }).variants, stderr }
    })
    const [first, second] = await Promise.all(builders)
    expect(first!.variants[0]?.artifact.sha256).toBe(second!.variants[0]?.artifact.sha256)
    const did = [first!.stderr, second!.stderr].map((line) => / {2}(hit|miss: new) {2}/.exec(line)?.[1])
    expect(did.sort()).toEqual(['hit', 'miss: new'])
    expect(first!.stderr.length + second!.stderr.length).toBeGreaterThan(1000)
  })

  test('a dev server that closes or restarts during a build leaves nothing', async () => {
    const own = join(folder, 'server')
    const project = openProject({
      ...rtx,
      ...detector,
      root: folder,
      cache: { dir: join(own, 'cache') },
      verbose: true,
    })
    const lines = new EventEmitter()
    const logger = { log: (line: string) => void lines.emit('line', line), warn: () => {} }
    const begun = once(lines, 'line')
    project.buildStart()
    const compiling = project.compile(`${ocrModel('det_infer.onnx')}?engine`, {
      ...logger,
      side: 'node',
      watch() {},
      check() {},
    })
    compiling.catch(() => {})
    await begun
    await project.buildEnd(logger, true)
    await expect(compiling).rejects.toMatchObject({ code: 'COMPILE_ABORTED' })
    await nothingLeft(own)
  })
})

test.skipIf(missing)('several profiles make one engine', async () => {
  const file = write('profiles.onnx', affineModel({ dims: 'batch,4' }))
  const profiles = [
    { min: { x: [1, 4] }, opt: { x: [1, 4] }, max: { x: [1, 4] } },
    { min: { x: [2, 4] }, opt: { x: [8, 4] }, max: { x: [16, 4] } },
  ]
  const { compiled } = await build(folder, file, { ...rtx, profiles })
  expect(compiled.variants[0]?.artifact.key.facts['profiles']).toEqual(['0 x=1x4..1x4..1x4', '1 x=2x4..8x4..16x4'])
})

test.skipIf(missing)("profilingVerbosity: 'detailed' lists the layers, without a GPU", async () => {
  const file = write('layers.onnx', affineModel({ weight: 7 }))
  const options = { ...rtx, tensorrtRtx: { profilingVerbosity: 'detailed' } } as const
  const { compiled, lines } = await build(folder, file, options)
  const { layers } = compiled.variants[0]!
  expect(layers?.flatMap(({ nodes }) => nodes)).toEqual(expect.arrayContaining(['scale', 'shift']))
  expect(layers?.at(-1)?.outputs).toMatchObject([{ name: 'y', dtype: 'Float', dims: '1x4' }])
  expect(lines).toHaveLength(2)
  const out = join(folder, 'layers')
  await writeModel(compiled, out)
  const listed = readdirSync(out).find((name) => name.endsWith('.layers.json'))
  expect(JSON.parse(readFileSync(join(out, listed!), 'utf8'))).toEqual(layers)
  const again = await build(folder, file, options)
  expect(again.compiled.variants[0]).toMatchObject({ layers, cache: { hit: true }, report: { lowering: null } })
})

test.skipIf(missing)('the first build makes the folder of the timing cache', async () => {
  const timingCache = join(folder, 'cache of a new user', 'timing')
  const settings = { ...rtxSettings(), timingCache }
  const worker = new URL('../../dist/plugin/backend/tensorrt/compile.js', import.meta.url)
  const output = join(tempFolder(), 'engine')
  await runChild(worker, { name: 'timed', model: write('timed.onnx', affineModel()), output, settings })
  expect(existsSync(output)).toBe(true)
  expect(existsSync(dirname(timingCache))).toBe(true)
})

test.skipIf(missing)('an engine of 0 bytes in the cache is built again, to the same bytes', async () => {
  const own = join(folder, 'truncated')
  const file = write('truncated.onnx', affineModel({ weight: 5 }))
  const first = (await build(own, file, rtx)).compiled.variants[0]!
  truncateSync(first.artifact.file, 0)
  const second = (await build(own, file, rtx)).compiled.variants[0]!
  expect(second.cache.reason).toBe('miss: the cached engine was corrupted')
  expect(second.artifact.sha256).toBe(first.artifact.sha256)
  expect(readFileSync(second.artifact.file).length).toBe(first.artifact.size)
})

function matrixModel(): Uint8Array {
  return onnxModel({
    inputs: { x: 'float32[8,64]' },
    outputs: { y: 'float32[8,64]' },
    nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
    initializers: { w: { dtype: 'float32', dims: [64, 64], data: Array.from({ length: 4096 }, (_, at) => at % 7) } },
  })
}

/** Five seconds pass with each line that the builder logs. */
function passTime(line: string): void {
  if (line.startsWith('slow: ')) vi.advanceTimersByTime(5000)
}

/**
 * No compiler runs any more, and the cache holds no engine, no piece of one and no lock. A cancelled call rejects
 * before its child has gone.
 */
async function nothingLeft(own: string): Promise<void> {
  await vi.waitFor(
    () => {
      expect(compilers()).toEqual([])
      const files = existsSync(own) ? readdirSync(own, { recursive: true, encoding: 'utf8' }) : []
      expect(files.filter((name) => /[/\\](tmp|locks|content-v2)[/\\]/.test(name))).toEqual([])
    },
    { timeout: 10_000 },
  )
}

function write(name: string, bytes: Uint8Array | string): string {
  const file = join(folder, name)
  writeFileSync(file, bytes)
  return file
}

/** A library that answers with a version, and nothing else. */
function foreignLibrary(version: readonly number[]): string {
  const made = join(folder, `library-${version.join('.')}`)
  mkdirSync(made)
  const source = ['Major', 'Minor', 'Patch', 'Build']
    .map((part, index) => `int getInferLib${part}Version(void) { return ${version[index]}; }`)
    .join('\n')
  execFileSync('cc', ['-shared', '-fPIC', '-x', 'c', '-o', join(made, 'libtensorrt_rtx.so.1'), '-'], { input: source })
  copyFileSync(
    join(rtxFolder(), 'lib', 'libtensorrt_onnxparser_rtx.so.1'),
    join(made, 'libtensorrt_onnxparser_rtx.so.1'),
  )
  return made
}
