import * as v from 'valibot'
import {
  hardwareCompatibilities,
  optimizationLevels,
  performanceHints,
  profilingVerbosities,
  webGpuFlavours,
  type WebOptions,
} from './backend-types.ts'
import { byteCount, oneOf, filePath, section, type SchemasOf, uniqueList, wholeNumber } from './validators.ts'

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
  machines: v.optional(v.pipe(uniqueList(filePath), v.readonly()), []),
}

/** The engine library of pages: one for all models of a build. */
export const web = section({
  webgpu: v.optional(
    v.lazy((input) =>
      typeof input === 'string' ? oneOf(webGpuFlavours) : v.literal(false, `false, 'jspi' or 'asyncify'`),
    ),
    false,
  ),
  threads: v.optional(wholeNumber(1)),
  isolate: v.optional(v.boolean(), false),
  allowSoftware: v.optional(v.boolean(), false),
} satisfies SchemasOf<WebOptions>)
