import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import type { GpuProbe } from '../../native/load-addon.ts'
import { tensorrt, tensorrtRtx } from '../../plugin/backend/tensorrt/backend.ts'
import { gpuFacts } from '../../plugin/backend/tensorrt/gpu-facts.ts'
import type { TensorRtDetail } from '../../plugin/backend/tensorrt/settings.ts'
import { explain } from '../../plugin/cache/explain.ts'
import { cacheKey, type Facts } from '../../plugin/cache/key.ts'
import { readModel } from '../../plugin/onnx/model.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import type { Options } from '../../plugin/options/types.ts'
import { findTensorRt } from '../../runtime/tensorrt/library.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'

// Figures of NVIDIA's architecture whitepapers (Ada, Ampere GA102) and data sheets.
const rtx4090 = machine('NVIDIA GeForce RTX 4090', 'sm89', {
  multiprocessors: 128,
  l2MiB: 72,
  memoryBusBits: 384,
  memoryGiB: 24,
})
const rtx3060 = machine('NVIDIA GeForce RTX 3060', 'sm86', {
  multiprocessors: 28,
  l2MiB: 3,
  memoryBusBits: 192,
  memoryGiB: 12,
})
const rtx3080 = machine('NVIDIA GeForce RTX 3080', 'sm86', {
  multiprocessors: 68,
  l2MiB: 5,
  memoryBusBits: 320,
  memoryGiB: 10,
})
const noGpu: GpuProbe = { reason: 'no NVIDIA driver found (libcuda.so.1)', driver: '', cuda: '', gpus: [] }

const folder = tempFolder()
const file = join(folder, 'm.onnx')
writeFileSync(file, affineModel({ dims: 'batch,4' }))
const model = await readModel(file)

interface Machine {
  readonly driver: GpuProbe
  readonly version: string
  readonly bytes: number
  readonly parserVersion: number
}

const home: Machine = { driver: rtx4090, version: '1.7.1.116', bytes: 234_013_248, parserVersion: 200 }
const batches = (min: number, opt: number, max: number) => ({
  min: { x: [min, 4] },
  opt: { x: [opt, 4] },
  max: { x: [max, 4] },
})

function factsOf(...request: Parameters<typeof planOf>): Facts {
  return planOf(...request).facts
}

/** The first engine that a machine would build. */
function planOf(
  backend: typeof tensorrt | typeof tensorrtRtx,
  { driver, version, bytes, parserVersion }: Machine,
  user: Options = {},
) {
  const options = compileOptions(resolveOptions({ profiles: [batches(1, 4, 8)], ...user }, folder), { file, query: {} })
  const detail: TensorRtDetail = {
    file: '/sdk/library',
    parser: '/sdk/parser',
    plugins: '',
    parserVersion,
    bytes,
    driver,
    platform: 'linux',
    arch: 'x64',
  }
  const found = { available: true, version, detail } as const
  const [plan] =
    backend === tensorrt
      ? tensorrt.plan(model, options, { ...found, detail: { here: found, elsewhere: [] } })
      : tensorrtRtx.plan(model, options, found)
  return plan!
}

describe('key of a TensorRT-RTX engine', () => {
  test('machines with any GPU and with none have the same key', () => {
    const facts = factsOf(tensorrtRtx, home)
    for (const driver of [rtx3060, rtx3080, noGpu]) expect(factsOf(tensorrtRtx, { ...home, driver })).toEqual(facts)
  })

  test.each<[string, Partial<Machine>, Options, string]>([
    [
      'another release',
      { version: '1.6.1.120' },
      {},
      'TensorRT-RTX 1.7.1.116 -> 1.6.1.120, native addon tensorrt_rtx_1_7 -> tensorrt_rtx_1_6',
    ],
    ['the build for another CUDA', { bytes: 230_000_000 }, {}, 'size of the library 234013248 -> 230000000'],
    ['another parser', { parserVersion: 201 }, {}, 'ONNX parser 200 -> 201'],
    ['a target less', {}, { targets: ['sm86', 'sm89'] }, 'targets changed: sm120 removed'],
    ['another profile', {}, { profiles: [batches(1, 4, 16)] }, 'profiles changed: 0 x 1x4..4x4..8x4 -> 1x4..4x4..16x4'],
    [
      'one more profile',
      {},
      { profiles: [batches(1, 4, 8), batches(8, 8, 8)] },
      'profiles changed: 1 x added (8x4..8x4..8x4)',
    ],
    ['a level', {}, { tensorrtRtx: { builderOptimizationLevel: 5 } }, 'builder optimization level none -> 5'],
    ['streams', {}, { tensorrtRtx: { maxAuxStreams: 0 } }, 'auxiliary streams none -> 0'],
    [
      'a limit of memory',
      {},
      { tensorrtRtx: { memoryPoolLimits: { workspace: '64MiB' } } },
      'workspace limit none -> 67108864',
    ],
    [
      'verbosity',
      {},
      { tensorrtRtx: { profilingVerbosity: 'detailed' } },
      'profiling verbosity layer-names-only -> detailed',
    ],
    [
      'a stripped plan',
      {},
      { tensorrtRtx: { stripPlan: true } },
      'builder flags changed: STRIP_PLAN added; REFIT_IDENTICAL added',
    ],
    ['refitting', {}, { tensorrtRtx: { refit: true } }, 'builder flags changed: REFIT added'],
    ['targets in another order', {}, { targets: ['sm120', 'sm86', 'sm89'] }, 'nothing changed'],
    ['verbose', {}, { verbose: true }, 'nothing changed'],
  ])('another key has its reason: %s', (_, other, user, words) => {
    expect(explain(factsOf(tensorrtRtx, home), factsOf(tensorrtRtx, { ...home, ...other }, user))).toBe(words)
  })
})

describe('key of a TensorRT plan', () => {
  test('two machines with the same GPU have the same key', () => {
    const gpu = rtx4090.gpus[0]!
    expect(digest({ ...rtx4090, gpus: [{ ...gpu, memoryBytes: gpu.memoryBytes - 2 ** 20 }] })).toBe(digest(rtx4090))
  })

  test('another GPU, driver or CUDA gives another key with the reason', () => {
    expect(digest(rtx3060)).not.toBe(digest(rtx4090))
    const newer = { ...rtx4090, driver: '590.10', cuda: '13.1' }
    expect(explain(gpuFacts(rtx4090, 'none'), gpuFacts(newer, 'none'))).toBe(
      'CUDA 13.0 -> 13.1, driver 580.95.05 -> 590.10',
    )
    expect(explain(gpuFacts(rtx3060, 'none'), gpuFacts(rtx3080, 'none'))).toContain(
      'GPU NVIDIA GeForce RTX 3060 -> NVIDIA GeForce RTX 3080',
    )
  })

  test('a plan for more GPUs has fewer facts of the GPU in its key', () => {
    expect(digest(rtx3060, 'same-compute-capability')).toBe(digest(rtx3080, 'same-compute-capability'))
    expect(digest(rtx3060, 'same-compute-capability')).not.toBe(digest(rtx4090, 'same-compute-capability'))
    expect(digest(rtx3060, 'ampere+')).toBe(digest(rtx4090, 'ampere+'))
  })

  const server: Machine = { driver: rtx3080, version: '11.4.0.106', bytes: 600_000_000, parserVersion: 110_400 }

  test.each<[string, Partial<Machine>, Options, string]>([
    [
      'another GPU',
      { driver: rtx3060 },
      {},
      'GPU NVIDIA GeForce RTX 3080 -> NVIDIA GeForce RTX 3060, multiprocessors 68 -> 28, L2 cache ' +
        '5242880 -> 3145728, memory bus 320 -> 192, GPU memory 10 -> 12',
    ],
    ['another driver', { driver: { ...rtx3080, driver: '570.10' } }, {}, 'driver 580.95.05 -> 570.10'],
    ['another CUDA', { driver: { ...rtx3080, cuda: '13.1' } }, {}, 'CUDA 13.0 -> 13.1'],
    ['another release', { version: '11.5.0.1' }, {}, 'TensorRT 11.4.0.106 -> 11.5.0.1'],
    [
      'version compatibility',
      {},
      { tensorrt: { versionCompatible: true } },
      'builder flags changed: VERSION_COMPATIBLE added',
    ],
    ['the timing cache, which is no part of it', {}, { tensorrt: { timingCache: false } }, 'nothing changed'],
  ])('another key has its reason: %s', (_, other, user, words) => {
    expect(explain(factsOf(tensorrt, server), factsOf(tensorrt, { ...server, ...other }, user))).toBe(words)
  })

  test('a version-compatible plan requires what later releases meet', () => {
    expect(planOf(tensorrt, server, { tensorrt: { versionCompatible: true } }).requires).toMatchObject({
      version: '11.4.0.106',
      versionCompatible: true,
    })
    expect(planOf(tensorrt, server).requires).not.toHaveProperty('versionCompatible')
  })
})

test('a library that is not found is an error that lists every place, in the order of the search', () => {
  vi.stubEnv('TENSORRT_RTX_ROOT', '')
  vi.stubEnv('CUDA_PATH', join(folder, 'cuda'))
  vi.stubEnv(process.platform === 'win32' ? 'PATH' : 'LD_LIBRARY_PATH', join(folder, 'libraries'))
  vi.stubEnv('XDG_CACHE_HOME', folder)
  vi.stubEnv('LOCALAPPDATA', folder)
  const found = findTensorRt('tensorrt-rtx')
  vi.unstubAllEnvs()
  const { tried, hint } = found as Extract<typeof found, { tried: string }>
  const places = [
    'the option tensorrtRtx.library (not set)',
    'TENSORRT_RTX_ROOT (not set)',
    'the folder of `unplugin-onnx setup` (',
    `CUDA_PATH (${join(folder, 'cuda')})`,
    `(${join(folder, 'libraries')})`,
  ]
  const at = places.map((place) => tried.indexOf(place))
  expect(at).toEqual([...at].sort((a, b) => a - b))
  expect(at[0]).toBe(0)
  expect(hint).toContain('npx unplugin-onnx setup tensorrt-rtx')
})

function digest(probe: GpuProbe, level: Parameters<typeof gpuFacts>[1] = 'none'): string {
  return cacheKey(gpuFacts(probe, level)).digest
}

interface Figures {
  readonly multiprocessors: number
  readonly l2MiB: number
  readonly memoryBusBits: number
  readonly memoryGiB: number
}

function machine(
  name: string,
  computeCapability: string,
  { multiprocessors, l2MiB, memoryBusBits, memoryGiB }: Figures,
): GpuProbe {
  return {
    reason: '',
    driver: '580.95.05',
    cuda: '13.0',
    gpus: [
      {
        name,
        computeCapability,
        multiprocessors,
        l2Bytes: l2MiB * 2 ** 20,
        memoryBusBits,
        memoryBytes: memoryGiB * 2 ** 30,
      },
    ],
  }
}
