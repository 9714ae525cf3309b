import type { BackendName, Precision } from '../../runtime/manifest.ts'

/** Dims by input name. Records that come from here have no prototype, so that an input may have any name. */
export type Shapes = Readonly<Record<string, readonly number[]>>

/** An optimization profile: bounds of every dynamic input. */
export interface Profile {
  readonly min: Shapes
  readonly opt: Shapes
  readonly max: Shapes
  /**
   * Bounds of the values of shape tensors: integer inputs that decide the dims of other tensors. TensorRT needs them,
   * other backends ignore them.
   */
  readonly values?: Readonly<Record<string, ValueBounds>>
}

/** Bounds of each value of a shape tensor, in row-major order. */
export interface ValueBounds {
  readonly min: readonly number[]
  readonly opt: readonly number[]
  readonly max: readonly number[]
}

/**
 * How one model is compiled. Written at the top level it holds for all models, under `models` for those that a glob
 * matches.
 */
export interface ModelOptions {
  /** Precision of imports that name none: `./pose.onnx` and `./pose.onnx?engine`. */
  readonly engine?: Precision
  /** Backends to compile for, in order of preference. `'auto'` is every one whose library is found, the CPU last. */
  readonly backends?: 'auto' | readonly BackendName[]
  /** Compute capabilities to compile for, such as `'sm86'`. Empty: the backend's own list. */
  readonly targets?: readonly string[]
  /** Fixed dims by input name. Other inputs keep their dynamic dims. */
  readonly shapes?: Shapes
  /**
   * Optimization profiles for dynamic inputs: `min`, `opt` and `max` dims by input name, and `values` of shape tensors.
   */
  readonly profiles?: readonly Profile[]
  /**
   * Samples of the inputs, which int8 needs to find the ranges of values: a glob of `.npy` or `.npz` files, a module,
   * or an object. See docs/calibration.md.
   */
  readonly calibration?: string | CalibrationOptions
  /** What stays in fp32 in engines of lower precision, and the dtype of their inputs and outputs. */
  readonly precision?: PrecisionOptions
  /**
   * How far the outputs of an engine of lower precision may be from those of the fp32 model; `false` does not compare.
   * See docs/precision.md.
   */
  readonly verify?: false | VerifyOptions
  /** Folder that the lowered graphs are written to, for other tools to open. */
  readonly keepOnnx?: string
  /** Settings of the ONNX Runtime backend. */
  readonly onnxruntime?: OnnxRuntimeOptions
  /** Settings of the OpenVINO backend. */
  readonly openvino?: OpenVinoOptions
  /** Settings of the TensorRT-RTX backend. */
  readonly tensorrtRtx?: TensorRtRtxOptions
  /** Settings of the TensorRT backend. */
  readonly tensorrt?: TensorRtOptions
}

export const optimizationLevels = ['disabled', 'basic', 'extended', 'all'] as const
export type OptimizationLevel = (typeof optimizationLevels)[number]

export interface OnnxRuntimeOptions {
  /**
   * Level of the offline graph optimization, in ONNX Runtime's terms. `'all'` lays weights out for the build machine's
   * kind of CPU.
   */
  readonly optimization?: OptimizationLevel
  /** Adds a portable engine beside one that runs on the build machine's kind of CPU only. */
  readonly portable?: boolean
}

export const ioPrecisions = ['fp32', 'fp16', 'bf16'] as const
export type IoPrecision = (typeof ioPrecisions)[number]

export interface PrecisionOptions {
  /** Names of nodes that stay in fp32; a node without a name goes by its first output. */
  readonly fp32?: readonly string[]
  /** Most products that a node of fp16 or bf16 may sum up, such as 4096. No limit unless it is given. */
  readonly maxDepth?: number
  /**
   * What float32 inputs and outputs of the model become: `'fp32'` leaves them, `'fp16'` and `'bf16'` go with the same
   * `engine`.
   */
  readonly io?: IoPrecision
  /** Keeps nodes in fp32 that break the verification, instead of failing the build with their names. */
  readonly autoPin?: boolean
}

export interface VerifyOptions {
  /**
   * Samples to compare on, as for `calibration`, which is taken when there are none here. Without either, inputs are
   * random.
   */
  readonly samples?: string | CalibrationOptions
  /** Each element may differ by `atol + rtol * |expected|`. Looked at when one of the two is given. */
  readonly atol?: number
  /** See `atol`. */
  readonly rtol?: number
  /**
   * Least cosine between an output and the expected one; its length may differ by `sqrt(2 * (1 - cosine))` of the
   * expected length. Default: 0.999 for fp16, 0.99 for bf16 and int8-weights, 0.98 for int8; on random inputs 0.99 for
   * fp16 and 0.95 for the others.
   */
  readonly cosine?: number
  /** Least share, from 0 to 1, of rows (along the last axis) whose largest element is the same. */
  readonly argmax?: number
  /**
   * Time after which the comparison is given up, which fails the build: milliseconds, or text such as `'90s'`. Default
   * 5 minutes.
   */
  readonly timeout?: number | string
}

export const calibrationMethods = ['minmax', 'entropy', 'percentile'] as const
export type CalibrationMethod = (typeof calibrationMethods)[number]

export interface CalibrationOptions {
  /** Glob of `.npy` or `.npz` files, or path of a module whose default export is an (async) iterable of samples. */
  readonly samples?: string
  /** Glob of PNG or JPEG images, which `preprocess` makes inputs of. In the place of `samples`. */
  readonly images?: string
  /** How an image becomes an input. */
  readonly preprocess?: PreprocessOptions
  /**
   * How a range follows from the values that were seen. Default: the one whose engine comes closest to fp32 on a few of
   * the samples.
   */
  readonly method?: CalibrationMethod
  /** Percentage of the values that the method `percentile` keeps inside the range. Default 99.999. */
  readonly percentile?: number
  /** Most samples that are used: the first ones. Default 512. */
  readonly limit?: number
  /** Longest time to wait for one sample: milliseconds, or text such as `'90s'`. Default 60 seconds. */
  readonly timeout?: number | string
}

export interface PreprocessOptions {
  /** Input that takes the image. Needed when the model has several. */
  readonly input?: string
  /**
   * Height and width that images are resized to, bilinearly. Default: the static dims of the input, or else the size of
   * each image.
   */
  readonly size?: readonly [number, number]
  /** Order of the dims: `'nchw'` is [1,C,H,W]. */
  readonly layout: ImageLayout
  /** Order of the channels. Default `'rgb'`. */
  readonly channels?: ImageChannels
  /** Factor for pixels, which are from 0 to 255: 1 or 1 / 255. */
  readonly scale: number
  /** What is subtracted after scaling, one number for each channel or one for all. Default 0. */
  readonly mean?: readonly number[]
  /** What is divided by after that, one number for each channel or one for all. Default 1. */
  readonly std?: readonly number[]
}

export const imageLayouts = ['nchw', 'nhwc'] as const
export type ImageLayout = (typeof imageLayouts)[number]
export const imageChannels = ['rgb', 'bgr', 'gray'] as const
export type ImageChannels = (typeof imageChannels)[number]

export const performanceHints = ['latency', 'throughput'] as const
export type PerformanceHint = (typeof performanceHints)[number]

export interface OpenVinoOptions {
  /** Device to compile for, by OpenVINO's name: `'CPU'`, `'GPU'`, `'GPU.1'`, `'NPU'`. */
  readonly device?: string
  /** What the device is tuned for: one inference as fast as possible, or many at once. */
  readonly performanceHint?: PerformanceHint
  /** CPU threads that one engine may use. Default: one for each physical core. */
  readonly threads?: number
  /** Folder that holds OpenVINO, or the path of its C library. Default: it is looked for. */
  readonly library?: string
}

export const profilingVerbosities = ['layer-names-only', 'none', 'detailed'] as const
export type ProfilingVerbosity = (typeof profilingVerbosities)[number]

export interface TensorRtRtxOptions {
  /** Folder that holds the library, or its path. Default: it is looked for. */
  readonly library?: string
  /** From 0 (fastest build) to 5 (fastest engine). Default: the library's own. */
  readonly builderOptimizationLevel?: number
  /** Streams that one inference may use beside its own; 0 takes the least memory. Default: the library's own. */
  readonly maxAuxStreams?: number
  /** Most memory that kernels may use for intermediate results: bytes, or text such as `'2GiB'`. */
  readonly memoryPoolLimits?: MemoryPoolLimits
  /** What of the layers the engine keeps for profilers. */
  readonly profilingVerbosity?: ProfilingVerbosity
  /** Leaves weights out of the engine that refitting can put back. */
  readonly stripPlan?: boolean
  /** Makes weights replaceable in the engine. */
  readonly refit?: boolean
}

export interface MemoryPoolLimits {
  /** GPU memory for one layer's intermediate results. */
  readonly workspace?: number | string
}

export const hardwareCompatibilities = ['none', 'ampere+', 'same-compute-capability'] as const
export type HardwareCompatibility = (typeof hardwareCompatibilities)[number]

export interface TensorRtOptions extends TensorRtRtxOptions {
  /** Other GPUs that the plan may run on, at some cost in speed. */
  readonly hardwareCompatibility?: HardwareCompatibility
  /**
   * Makes the plan run on later releases of the major version too: it brings TensorRT's lean runtime, which is code
   * that the app then runs.
   */
  readonly versionCompatible?: boolean
  /** Keeps timings of kernels for the next build on this GPU. */
  readonly timingCache?: boolean
}

/** Options of the plugin. Every key is optional; an unknown one is an error. */
export interface Options extends ModelOptions {
  /**
   * Options for the models that a glob matches: by path from `root`, by absolute path, or by the path inside
   * `node_modules` (`'@scope/models/**'`).
   */
  readonly models?: Readonly<Record<string, ModelOptions>>
  /** Folder that relative paths start from. Default: the bundler's root, or else the current folder. */
  readonly root?: string
  /** Where compiled engines are kept between builds, and for how long. */
  readonly cache?: CacheOptions
  /** Where type declarations of imported models are written; `false` writes none. */
  readonly types?: false | TypesOptions
  /** Folder of the engines inside the bundler's output folder. */
  readonly assetsDir?: string
  /**
   * Copies the runtime and what the engines need of ONNX Runtime and the native addons, for this platform, into
   * `node_modules` of the output folder, which then runs without the app's own.
   */
  readonly standalone?: boolean
  /** Prints all that the backends log. */
  readonly verbose?: boolean
}

export interface CacheOptions {
  /** Folder of the cache. */
  readonly dir?: string
  /**
   * Size above which the least recently used engines are removed: bytes, or text such as `'5GB'` (1000^3) or `'5GiB'`
   * (1024^3).
   */
  readonly maxSize?: number | string
  /** Age since the last use above which engines are removed: milliseconds, or text such as `'12h'` or `'30d'`. */
  readonly maxAge?: number | string
}

export interface TypesOptions {
  /** Folder of the declarations. */
  readonly dir?: string
}
