// The options of each backend. docs/options.md gets its tables from these comments.

export const optimizationLevels = ['disabled', 'basic', 'extended', 'all'] as const
export type OptimizationLevel = (typeof optimizationLevels)[number]

export interface OnnxRuntimeOptions {
  /**
   * ONNX Runtime's level of offline graph optimization. `'all'` lays weights out for CPUs like the build machine's.
   */
  readonly optimization?: OptimizationLevel
  /** Adds a portable engine to one that only runs on CPUs like the build machine's. */
  readonly portable?: boolean
}

export const performanceHints = ['latency', 'throughput'] as const
export type PerformanceHint = (typeof performanceHints)[number]

export interface OpenVinoOptions {
  /** OpenVINO's name of the device to compile for: `'CPU'`, `'GPU'`, `'GPU.1'`, `'NPU'`. */
  readonly device?: string
  /** Tunes the device for one fast inference (`'latency'`) or for many at once (`'throughput'`). */
  readonly performanceHint?: PerformanceHint
  /** CPU threads for one engine. Default: one per physical core. */
  readonly threads?: number
  /** Folder of OpenVINO, or the path of its C library. Default: searched for, see docs/openvino.md. */
  readonly library?: string
}

export const profilingVerbosities = ['layer-names-only', 'none', 'detailed'] as const
export type ProfilingVerbosity = (typeof profilingVerbosities)[number]

export interface TensorRtRtxOptions {
  /** Folder of the library, or its path. Default: searched for, see docs/nvidia.md. */
  readonly library?: string
  /** From 0 (fastest build) to 5 (fastest engine). Default: the library's. */
  readonly builderOptimizationLevel?: number
  /** Extra streams for one inference; 0 uses the least memory. Default: the library's. */
  readonly maxAuxStreams?: number
  /** Limits of the memory that kernels may use while they run. */
  readonly memoryPoolLimits?: MemoryPoolLimits
  /** What the engine stores about its layers, for profilers. */
  readonly profilingVerbosity?: ProfilingVerbosity
  /** Leaves out the weights that refitting can put back. */
  readonly stripPlan?: boolean
  /** Makes the weights of the engine replaceable. */
  readonly refit?: boolean
}

export interface MemoryPoolLimits {
  /** GPU memory for the intermediate results of one layer: bytes, or text such as `'2GiB'`. */
  readonly workspace?: number | string
}

export const hardwareCompatibilities = ['none', 'ampere+', 'same-compute-capability'] as const
export type HardwareCompatibility = (typeof hardwareCompatibilities)[number]

export interface TensorRtOptions extends TensorRtRtxOptions {
  /** Other GPUs that the plan can run on, at some cost in speed. */
  readonly hardwareCompatibility?: HardwareCompatibility
  /**
   * Makes the plan run on later releases of the same major version. Such a plan contains TensorRT's lean runtime: code
   * that the app then runs.
   */
  readonly versionCompatible?: boolean
  /** Keeps kernel timings for the next build on this GPU. */
  readonly timingCache?: boolean
  /**
   * Files that `unplugin-onnx doctor --json` wrote on other machines: their plans are taken from the cache, never built
   * here. See [Cache](cache.md#gpu-engines-for-machines-that-you-do-not-build-on).
   */
  readonly machines?: readonly string[]
}

export const webGpuFlavours = ['jspi', 'asyncify'] as const
export type WebGpuFlavour = (typeof webGpuFlavours)[number]

export interface WebOptions {
  /**
   * Adds WebGPU to the library in the output: `'jspi'` for browsers with JSPI (16.8 MB instead of 14.2), `'asyncify'`
   * for all (26.8 MB).
   */
  readonly webgpu?: false | WebGpuFlavour
  /** Threads of one inference in a page that is isolated. Default: half of the processors, at most 4. */
  readonly threads?: number
  /** Isolates the pages of Vite's dev server and preview by their headers, so that they can use threads. */
  readonly isolate?: boolean
  /** Accepts a software adapter for WebGPU, which is slower than the CPU: for tests. */
  readonly allowSoftware?: boolean
}
