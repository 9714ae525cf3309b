import { createRequire } from 'node:module'
import { describe, expect, test, vi } from 'vitest'
import { onnxruntime } from '../../plugin/backend/onnxruntime/backend.ts'
import type { Model } from '../../plugin/onnx/model.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import type { Precision } from '../../runtime/manifest.ts'
import * as cpu from '../../runtime/onnxruntime/cpu.ts'
import { onnxruntimeRunner } from '../../runtime/onnxruntime/runner.ts'

/** The features that Linux or macOS lists for some CPUs, cut to what matters here. */
const recorded = {
  'Sapphire Rapids': { arch: 'x64', features: ['avx2', 'avx512f', 'avx_vnni', 'avx512_vnni'] },
  'Alder Lake': { arch: 'x64', features: ['avx2', 'fma', 'avx_vnni'] },
  'Ice Lake on macOS': { arch: 'x64', features: ['avx2', 'avx512f', 'avx512vnni'] },
  Haswell: { arch: 'x64', features: ['avx2', 'fma'] },
  'Skylake-SP': { arch: 'x64', features: ['avx2', 'avx512f', 'avx512bw'] },
  'x64 Windows, which lists none': { arch: 'x64', features: undefined },
  'Apple M1': { arch: 'arm64', features: undefined },
} satisfies Record<string, cpu.Cpu>

const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string }

let here: cpu.Cpu & { layout: 0 | 8 | 16 }

vi.mock('../../runtime/onnxruntime/cpu.ts', async (original) => {
  const { saturatesInt8 } = await original<typeof cpu>()
  return { blockedLayout: () => here.layout, saturatesInt8: (asked?: cpu.Cpu) => saturatesInt8(asked ?? here) }
})

test.each(Object.entries(recorded))('%s adds products of 8 bits in 16 only without VNNI', (name, facts) => {
  expect(cpu.saturatesInt8(facts)).toBe(['Haswell', 'Skylake-SP', 'x64 Windows, which lists none'].includes(name))
})

describe('int8 engine for CPUs like that of the build', () => {
  test('8-bit weights require VNNI, and the portable engine does not', () => {
    here = { ...recorded['Sapphire Rapids'], layout: 16 }
    expect(requirements('int8')).toEqual([
      expect.objectContaining({ layout: 16, vnni: true }),
      { version, arch: 'any', layout: 0 },
    ])
  })

  test.each([
    ['Haswell', 8],
    ['Skylake-SP', 16],
  ] as const)('7-bit weights, as %s makes them, require no VNNI', (name, layout) => {
    here = { ...recorded[name], layout }
    expect(requirements('int8').map(({ vnni }) => vnni)).toEqual([undefined, undefined])
  })

  test('engines of one layout with and without VNNI have different keys', () => {
    here = { ...recorded['Sapphire Rapids'], layout: 16 }
    const [tuned, portable] = plan('int8').map(({ facts }) => facts)
    here = { ...recorded['Skylake-SP'], layout: 16 }
    const [other, same] = plan('int8').map(({ facts }) => facts)
    expect(tuned).not.toEqual(other)
    expect(portable).toEqual(same)
  })

  test('an engine of another precision requires no VNNI', () => {
    here = { ...recorded['Sapphire Rapids'], layout: 16 }
    expect(requirements('fp32').map(({ vnni }) => vnni)).toEqual([undefined, undefined])
  })

  test('a CPU of the same layout without VNNI refuses the engine', async () => {
    here = { ...recorded['Sapphire Rapids'], layout: 16 }
    const { requires } = plan('int8')[0]!
    const own = { ...requires, arch: process.arch }
    expect(await onnxruntimeRunner.refusal(own, {})).toBeUndefined()
    here = { ...recorded['Skylake-SP'], layout: 16 }
    expect(await onnxruntimeRunner.refusal(own, {})).toBe(
      'int8 for CPUs with VNNI, which this one is not known to have: its sums would overflow',
    )
  })
})

function plan(engine: Precision) {
  const model = { file: 'm.onnx', external: [], bindings: { inputs: [], outputs: [] } } as unknown as Model
  const options = compileOptions(resolveOptions({ engine }, process.cwd()), { file: 'm.onnx', query: {} })
  return onnxruntime.plan(model, options, { available: true, version, detail: { module: 'x' } })
}

function requirements(engine: Precision) {
  return plan(engine).map(({ requires }) => requires)
}
