import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { tensorrtRtxVersion } from '../../native/tensorrt-wheels.ts'
import type { TensorRtSettings } from '../../plugin/backend/tensorrt/compile.ts'
import { root } from './openvino-models.ts'

/** The folder of a TensorRT-RTX release in .vendor. */
export function rtxFolder(version: string = tensorrtRtxVersion): string {
  return join(root, '.vendor', `tensorrt-rtx-${version}`)
}

/** Why the tests with the real TensorRT-RTX cannot run here; undefined when they can. With CI=true that is an error. */
export function missingTensorRtRtx(): string | undefined {
  process.env['TENSORRT_RTX_ROOT'] ??= rtxFolder()
  const needed = [process.env['TENSORRT_RTX_ROOT'], join(root, 'native', 'build', 'Release', 'tensorrt_rtx_1_7.node')]
  const absent = needed.find((path) => !existsSync(path))
  const reason = absent && `${absent} is missing: run \`npm run build:native\``
  if (reason && process.env['CI'] === 'true') throw new Error(reason)
  if (reason) console.warn(`tests with TensorRT-RTX are skipped: ${reason}`)
  return reason
}

/** Settings of a build that asks for nothing special. */
export const defaultSettings = {
  fixed: [],
  profiles: [],
  flags: [],
  hardwareCompatibility: 'none',
  profilingVerbosity: 'none',
  builderOptimizationLevel: null,
  maxAuxStreams: null,
  workspace: null,
  timingCache: '',
} as const satisfies Partial<TensorRtSettings>

/** Settings of the compiler's child process for one GPU and this model as it is. */
export function rtxSettings(): TensorRtSettings {
  const lib = join(rtxFolder(), 'lib')
  return {
    addon: 'tensorrt_rtx_1_7',
    product: 'TensorRT-RTX',
    library: join(lib, 'libtensorrt_rtx.so.1'),
    parser: join(lib, 'libtensorrt_onnxparser_rtx.so.1'),
    plugins: '',
    targets: ['sm86'],
    computeCapabilities: [86],
    ...defaultSettings,
  }
}
