import { readFileSync } from 'node:fs'

/**
 * Channels per block (NCHWc) of ONNX Runtime's convolutions on this CPU: 16 with AVX-512F, 8 on other x64. Source: MLAS
 * (`MlasNchwcGetBlockSize`, onnxruntime/core/mlas/lib/platform.cpp). 0 where it cannot be told, as on Arm and on
 * Windows, which has no text that lists CPU features.
 */
export function blockedLayout(): 0 | 8 | 16 {
  if (process.arch !== 'x64') return 0
  const avx512 = hasAvx512()
  if (avx512 === undefined) return 0
  return avx512 ? 16 : 8
}

/**
 * Whether this CPU, or one that it cannot be told from, adds products of uint8 and int8 in 16 bits, where two large
 * ones overflow: an x64 CPU without VNNI. Source: ONNX Runtime's "Quantize ONNX models", on `reduce_range`.
 */
export function saturatesInt8({ arch, features }: Cpu = { arch: process.arch, features: cpuFeatures() }): boolean {
  return arch === 'x64' && !features?.some((feature) => vnni.has(feature))
}

/** What is asked of a CPU. */
export interface Cpu {
  /** In Node's terms (`process.arch`). */
  readonly arch: string
  /** Names of its features as the operating system lists them; undefined where it has no such list. */
  readonly features: readonly string[] | undefined
}

// By the names of Linux and of macOS.
const vnni = new Set(['avx512_vnni', 'avx_vnni', 'avx512vnni', 'avxvnni'])

function hasAvx512(): boolean | undefined {
  return cpuFeatures()?.includes('avx512f')
}

let features: readonly string[] | undefined

function cpuFeatures(): readonly string[] | undefined {
  try {
    features ??= probes[process.platform]?.()
  } catch {
    // Without /proc (a hardened container) the answer is unknown, and unknown means portable.
  }
  return features
}

const probes: Partial<Record<NodeJS.Platform, () => string[]>> = {
  linux: () => /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'latin1'))?.[1]?.trim().split(/\s+/) ?? [],
  // Loaded only there: it would cost every start 2 ms.
  darwin: () =>
    process
      .getBuiltinModule('node:child_process')
      .execFileSync('sysctl', ['-n', 'machdep.cpu.leaf7_features'], { encoding: 'latin1' })
      .trim()
      .toLowerCase()
      .split(/\s+/),
}
