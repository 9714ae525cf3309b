import { readFileSync } from 'node:fs'

/**
 * Channels per block (NCHWc) of ONNX Runtime's convolutions on this CPU: 16 with AVX-512F, 8 on other x64. Source: MLAS
 * (`MlasNchwcGetBlockSize`, onnxruntime/core/mlas/lib/platform.cpp). 0 where it cannot be told, as on Arm and on Windows,
 * which has no text that lists CPU features.
 */
export function blockedLayout(): 0 | 8 | 16 {
  if (process.arch !== 'x64') return 0
  const avx512 = hasAvx512()
  if (avx512 === undefined) return 0
  return avx512 ? 16 : 8
}

let avx512: boolean | undefined

function hasAvx512(): boolean | undefined {
  try {
    avx512 ??= probes[process.platform]?.()
  } catch {
    // Without /proc (a hardened container) the answer is unknown, and unknown means portable.
  }
  return avx512
}

const probes: Partial<Record<NodeJS.Platform, () => boolean>> = {
  linux: () => /^flags\s*:.*\bavx512f\b/m.test(readFileSync('/proc/cpuinfo', 'latin1')),
  // Loaded only there: it would cost every start 2 ms.
  darwin: () => process.getBuiltinModule('node:child_process').execFileSync('sysctl', ['-n', 'hw.optional.avx512f'], { encoding: 'latin1' }).trim() === '1',
}
