import type { DimsCheck, Precision } from '../../runtime/manifest.ts'
import type {
  OnnxRuntimeOptions,
  OpenVinoOptions,
  TensorRtOptions,
  TensorRtRtxOptions,
  WebOptions,
} from './backend-types.ts'
import type { Platform } from './build-target.ts'
import type { ConvertOptions } from './convert-types.ts'
import type { RemoteCacheOptions } from './remote-types.ts'
import type { CalibrationOptions, VerifyOptions } from './sample-types.ts'
import type { BackendEntry } from './served-types.ts'

/** Dims by input name. These records have no prototype, so an input can have any name. */
export type Shapes = Readonly<Record<string, readonly number[]>>

/** An optimization profile: bounds of every dynamic input. */
export interface Profile {
  readonly min: Shapes
  readonly opt: Shapes
  readonly max: Shapes
  /**
   * Bounds of the values of shape tensors: integer inputs whose values set the dims of other tensors. TensorRT needs
   * them, other backends ignore them.
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
 * How one model is compiled. At the top level these options apply to all models, under `models` to those that a glob
 * matches.
 */
export interface ModelOptions {
  /**
   * Precision of imports without one: `./pose.onnx` and `./pose.onnx?engine`. `'auto'`: the fastest one that keeps the
   * limits, which the build measures for each backend.
   */
  readonly engine?: Precision | 'auto'
  /**
   * Backends to compile for, in order of preference; a build takes those that run where its output does. `'auto'`:
   * every backend whose library is found, the CPU last. `{ remote: 'grpc://...' }` is a [server](servers.md).
   */
  readonly backends?: 'auto' | readonly BackendEntry[]
  /** Compute capabilities to compile for, such as `'sm86'`. Empty: the backend's default list. */
  readonly targets?: readonly string[]
  /** Fixed dims by input name. Other inputs keep their dynamic dims. */
  readonly shapes?: Shapes
  /**
   * Optimization profiles for dynamic inputs: `min`, `opt` and `max` dims by input name, and `values` for shape
   * tensors. `'auto'`: the dims of the samples.
   */
  readonly profiles?: 'auto' | readonly Profile[]
  /**
   * Whether infer() checks that dims of one name are equal. `'loose'` is for models that use one name for dims that may
   * differ: such dims of inputs are then unknown. TensorRT requires equal dims in any case.
   */
  readonly dims?: DimsCheck
  /**
   * Names of the outputs that infer() returns. What only other outputs need is not computed. Empty: all. With it, a
   * model can be used that also has outputs of unsupported types, such as the maps of a scikit-learn classifier.
   */
  readonly outputs?: readonly string[]
  /**
   * Inputs with a default in the model (an initializer of the same name) that infer() takes or leaves out; `true` is
   * all of them. Other defaults are compiled in. Engines of TensorRT have every default compiled in.
   */
  readonly optionalInputs?: true | readonly string[]
  /**
   * Sample inputs, from which int8 gets the ranges of activations: a glob of `.npy` or `.npz` files, a module, or an
   * object. See docs/calibration.md.
   */
  readonly calibration?: string | CalibrationOptions
  /** What stays in fp32 in engines of lower precision, and the dtypes of their inputs and outputs. */
  readonly precision?: PrecisionOptions
  /**
   * How far the outputs of an engine of lower precision may be from those of the fp32 model; `false` skips the
   * comparison. See docs/precision-reference.md.
   */
  readonly verify?: false | VerifyOptions
  /** Folder for the lowered graphs and their reports, for other tools to open. */
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

export const ioPrecisions = ['fp32', 'fp16', 'bf16'] as const
export type IoPrecision = (typeof ioPrecisions)[number]

export const whenSlowerActions = ['fp32', 'warn', 'error'] as const

export interface PrecisionOptions {
  /** Names of nodes that stay in fp32; for a node without a name, its first output. */
  readonly fp32?: readonly string[]
  /** Most products that a node of fp16 or bf16 may add up, such as 4096. No limit by default. */
  readonly maxDepth?: number
  /**
   * Dtype of the model's float32 inputs and outputs: `'fp32'` leaves them, `'fp16'` and `'bf16'` need the same
   * `engine`.
   */
  readonly io?: IoPrecision
  /**
   * Keeps the nodes in fp32 that fail the verification, instead of failing the build with their names. Default: `true`
   * for int8 and for `backends: 'auto'`, `false` for other engines of backends that you name.
   */
  readonly autoPin?: boolean
  /**
   * What a build has where int8 is slower or larger than fp32 on this machine, or fp32 in nearly all nodes: `'fp32'`
   * takes fp32 and says so, `'warn'` keeps int8 with a warning, `'error'` fails. See docs/calibration.md.
   */
  readonly whenSlower?: (typeof whenSlowerActions)[number]
  /**
   * Whether the build searches which nodes of int8 stay in fp32, by the error and the time of many engines. By default
   * it does where int8 is beyond the limits, slower or larger; `true` always, `false` never. See docs/calibration.md.
   */
  readonly search?: boolean
  /** The longest that a search may take, such as `'2m'` or milliseconds. */
  readonly budget?: number | string
}

/** Options of the plugin. Every key is optional; an unknown key is an error. */
export interface Options extends ModelOptions {
  /**
   * Options for the models that a glob matches: by the path from `root`, the absolute path, or the path inside
   * `node_modules` (`'@scope/models/**'`).
   */
  readonly models?: Readonly<Record<string, ModelOptions>>
  /** Programs that make ONNX of other files, by the end of their names: see [Other frameworks](convert.md). */
  readonly convert?: ConvertOptions
  /** Folder that relative paths start from. Default: the bundler's root, otherwise the current folder. */
  readonly root?: string
  /** Where compiled engines are kept between builds, and for how long. */
  readonly cache?: CacheOptions
  /** Where the type declarations of imported models go; `false` writes none. */
  readonly types?: false | TypesOptions
  /** Folder for engines inside the bundler's output folder. */
  readonly assetsDir?: string
  /**
   * Copies the runtime, and what the engines need of ONNX Runtime and the native addons for this platform, into
   * `node_modules` of the output folder, so the output runs without the app's `node_modules`.
   */
  readonly standalone?: boolean
  /**
   * Where the output runs. Default: where the bundler's own target says, and Node.js in Rollup and Rolldown, which have
   * none.
   */
  readonly platform?: Platform
  /** The library that runs models in pages: see docs/browser.md. */
  readonly web?: WebOptions
  /** Fails with NOT_CACHED instead of compiling an engine that no cache has. */
  readonly frozen?: boolean
  /** Prints everything that the backends log. */
  readonly verbose?: boolean
  /** File for what each build did, as JSON: an object in each line, one for each engine. */
  readonly events?: string
}

/** The default of `cache.dir`, here because programs that only start models read no schema. */
export const defaultCacheDir = 'node_modules/.cache/unplugin-onnx'

export interface CacheOptions {
  /** Folder of the cache. */
  readonly dir?: string
  /**
   * Size above which the least recently used engines are removed: bytes, or text such as `'5GB'` (5 * 1000^3) or
   * `'5GiB'` (5 * 1024^3).
   */
  readonly maxSize?: number | string
  /** Time since the last use after which an engine is removed: milliseconds, or text such as `'12h'` or `'30d'`. */
  readonly maxAge?: number | string
  /**
   * A store that a team shares, with what signs its entries: `{ store, secret }` or `{ store, publicKey }`. See
   * [Cache](cache.md#engines-shared-by-a-team).
   */
  readonly remote?: RemoteCacheOptions
}

export interface TypesOptions {
  /** Folder of the declarations. */
  readonly dir?: string
}
