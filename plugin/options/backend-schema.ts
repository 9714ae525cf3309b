import * as v from 'valibot'
import { hardwareCompatibilities, optimizationLevels, performanceHints, profilingVerbosities } from './backend-types.ts'
import { byteCount, oneOf, filePath, section, wholeNumber } from './validators.ts'

// The sections of the backends, as entries: at the top level with these defaults, under `models` without.

export const onnxruntime = {
  optimization: v.optional(oneOf(optimizationLevels), 'all'),
  portable: v.optional(v.boolean(), true),
}
export const openvino = {
  device: v.optional(
    v.pipe(v.string(), v.regex(/^[A-Z]+(\.\d+)?$/, `a device such as 'CPU', 'GPU.1' or 'NPU'`)),
    'CPU',
  ),
  performanceHint: v.optional(oneOf(performanceHints), 'latency'),
  threads: v.optional(wholeNumber(1)),
  library: v.optional(filePath),
}
export const tensorrtRtx = {
  library: v.optional(filePath),
  builderOptimizationLevel: v.optional(wholeNumber(0, 5)),
  maxAuxStreams: v.optional(wholeNumber(0, 128)),
  memoryPoolLimits: v.optional(section({ workspace: v.optional(byteCount('2GiB')) }), {}),
  profilingVerbosity: v.optional(oneOf(profilingVerbosities), 'layer-names-only'),
  stripPlan: v.optional(v.boolean(), false),
  refit: v.optional(v.boolean(), false),
}
export const tensorrt = {
  ...tensorrtRtx,
  hardwareCompatibility: v.optional(oneOf(hardwareCompatibilities), 'none'),
  versionCompatible: v.optional(v.boolean(), false),
  timingCache: v.optional(v.boolean(), true),
}
