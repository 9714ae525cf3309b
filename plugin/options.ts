import { relative, resolve, sep } from 'node:path'
import picomatch from 'picomatch'
import * as v from 'valibot'
import { OnnxEngineError } from '../runtime/errors.ts'
import { backendNames, precisions } from '../runtime/manifest.ts'
import { requestKey } from './query.ts'
import { byName, keyPath, oneOf, quantity, read, recordOf, section, shorten, uniqueList } from './schema.ts'
import type { BackendName, Precision } from '../runtime/manifest.ts'
import type { ModelRequest, Query } from './query.ts'

export { checkShapes } from './shapes.ts'

/** Dims by input name. Records that come from here have no prototype, so that an input may have any name. */
export type Shapes = Readonly<Record<string, readonly number[]>>

/** An optimization profile: bounds of every dynamic input. */
export interface Profile {
  readonly min: Shapes
  readonly opt: Shapes
  readonly max: Shapes
}

/** How one model is compiled. Written at the top level it holds for all models, under `models` for those that a glob matches. */
export interface ModelOptions {
  /** Precision of imports that name none: `./pose.onnx` and `./pose.onnx?engine`. */
  readonly engine?: Precision
  /** Backends to compile for, in order of preference. `'auto'` is every one whose library is found, the CPU last. */
  readonly backends?: 'auto' | readonly BackendName[]
  /** Compute capabilities to compile for, such as `'sm86'`. Empty: the backend's own list. */
  readonly targets?: readonly string[]
  /** Fixed dims by input name. Other inputs keep their dynamic dims. */
  readonly shapes?: Shapes
  /** Optimization profiles for dynamic inputs: `min`, `opt` and `max` dims by input name. */
  readonly profiles?: readonly Profile[]
  /** Samples of the inputs, which int8 needs to find the ranges of values: a glob of `.npy` or `.npz` files, a module, or an object. See docs/calibration.md. */
  readonly calibration?: string | CalibrationOptions
  /** What stays in fp32 in engines of lower precision. */
  readonly precision?: PrecisionOptions
  /** How far the outputs of an engine of lower precision may be from those of the fp32 model; `false` does not compare. See docs/precision.md. */
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
  /** Level of the offline graph optimization, in ONNX Runtime's terms. `'all'` lays weights out for the build machine's kind of CPU. */
  readonly optimization?: OptimizationLevel
  /** Adds a portable engine beside one that runs on the build machine's kind of CPU only. */
  readonly portable?: boolean
}

export interface PrecisionOptions {
  /** Names of nodes that stay in fp32; a node without a name goes by its first output. */
  readonly fp32?: readonly string[]
  /** Most products that a node of fp16 or bf16 may sum up, such as 4096. No limit unless it is given. */
  readonly maxDepth?: number
  /** Keeps nodes in fp32 that break the verification, instead of failing the build with their names. */
  readonly autoPin?: boolean
}

export interface VerifyOptions {
  /** Samples to compare on, as for `calibration`, which is taken when there are none here. Without either, inputs are random. */
  readonly samples?: string | CalibrationOptions
  /** Each element may differ by `atol + rtol * |expected|`. Looked at when one of the two is given. */
  readonly atol?: number
  /** See `atol`. */
  readonly rtol?: number
  /** Least cosine between an output and the expected one; its length may differ by `sqrt(2 * (1 - cosine))` of the expected length. Default: 0.999 for fp16, 0.99 for bf16 and int8-weights, 0.98 for int8. */
  readonly cosine?: number
  /** Least share, from 0 to 1, of rows (along the last axis) whose largest element is the same. */
  readonly argmax?: number
  /** Milliseconds after which the comparison is given up, which fails the build. Default 300000. */
  readonly timeout?: number
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
  /** How a range follows from the values that were seen. Default: what suits the backend. */
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
  /** Height and width that images are resized to, bilinearly. Default: the static dims of the input, or else the size of each image. */
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
  /** Makes the plan load in newer releases of the major version; such a plan needs TensorRT's lean runtime beside. */
  readonly versionCompatible?: boolean
  /** Keeps timings of kernels for the next build on this GPU. */
  readonly timingCache?: boolean
}

/** Options of the plugin. Every key is optional; an unknown one is an error. */
export interface Options extends ModelOptions {
  /** Options for the models that a glob matches: by path from `root`, by absolute path, or by the path inside `node_modules` (`'@scope/models/**'`). */
  readonly models?: Readonly<Record<string, ModelOptions>>
  /** Folder that relative paths start from. Default: the bundler's root, or else the current folder. */
  readonly root?: string
  /** Where compiled engines are kept between builds, and for how long. */
  readonly cache?: CacheOptions
  /** Where type declarations of imported models are written; `false` writes none. */
  readonly types?: false | TypesOptions
  /** Folder of the engines inside the bundler's output folder. */
  readonly assetsDir?: string
  /** Copies the runtime and ONNX Runtime for this platform into `node_modules` of the output folder, which then runs without the app's own. */
  readonly standalone?: boolean
  /** Prints all that the backends log. */
  readonly verbose?: boolean
}

export interface CacheOptions {
  /** Folder of the cache. */
  readonly dir?: string
  /** Size above which the least recently used engines are removed: bytes, or text such as `'5GB'` (1000^3) or `'5GiB'` (1024^3). */
  readonly maxSize?: number | string
  /** Age since the last use above which engines are removed: milliseconds, or text such as `'12h'` or `'30d'`. */
  readonly maxAge?: number | string
}

export interface TypesOptions {
  /** Folder of the declarations. */
  readonly dir?: string
}

/** The options with all defaults, absolute folders, bytes and milliseconds. */
export type ResolvedOptions = v.InferOutput<typeof schema> & { readonly root: string }

/** All that decides how one model is compiled, defaults filled in. */
export type CompileOptions = Pick<ResolvedOptions, keyof ModelOptions>

/** Where samples come from and what is made of them, defaults filled in. */
export type Calibration = NonNullable<CompileOptions['calibration']>

type SchemasOf<T> = { readonly [K in keyof Required<T>]: v.GenericSchema<T[K], unknown> }

const byteUnits = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 }
const timeUnits = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3 }

const engine = oneOf(precisions)
const backendList = v.pipe(uniqueList(oneOf(backendNames)), v.check((names) => names.length > 0, 'at least one backend'))
const backends = v.lazy((input) => (Array.isArray(input) ? backendList : v.literal('auto', `'auto' or a list of ${backendNames.join(', ')}`)))
const target = v.pipe(v.string(), v.regex(/^sm\d{2,3}$/, `a compute capability such as 'sm86'`))
const targets = v.pipe(uniqueList(target), v.transform((names): readonly string[] => [...names].sort()))
const shapes = recordOf(v.array(v.number()))
const profiles = v.array(section({ min: shapes, opt: shapes, max: shapes }))
const onnxruntime = {
  optimization: v.optional(oneOf(optimizationLevels), 'all'),
  portable: v.optional(v.boolean(), true),
}
const folder = v.pipe(v.string(), v.check((path) => path !== '', 'a path'))
const openvino = {
  device: v.optional(v.pipe(v.string(), v.regex(/^[A-Z]+(\.\d+)?$/, `a device such as 'CPU', 'GPU.1' or 'NPU'`)), 'CPU'),
  performanceHint: v.optional(oneOf(performanceHints), 'latency'),
  threads: v.optional(v.pipe(v.number(), v.check((count) => Number.isSafeInteger(count) && count >= 1, 'a whole number from 1'))),
  library: v.optional(folder),
}
const whole = (least: number, most: number, phrase: string) => v.pipe(v.number(), v.check((count) => Number.isSafeInteger(count) && count >= least && count <= most, phrase))
const tensorrtRtx = {
  library: v.optional(folder),
  builderOptimizationLevel: v.optional(whole(0, 5, 'a whole number from 0 to 5')),
  maxAuxStreams: v.optional(whole(0, 128, 'a whole number from 0 to 128')),
  memoryPoolLimits: v.optional(section({ workspace: v.optional(quantity(byteUnits, `a positive number of bytes, or text such as '2GiB'`)) }), {}),
  profilingVerbosity: v.optional(oneOf(profilingVerbosities), 'layer-names-only'),
  stripPlan: v.optional(v.boolean(), false),
  refit: v.optional(v.boolean(), false),
}
const tensorrt = {
  ...tensorrtRtx,
  hardwareCompatibility: v.optional(oneOf(hardwareCompatibilities), 'none'),
  versionCompatible: v.optional(v.boolean(), false),
  timingCache: v.optional(v.boolean(), true),
}
const count = v.pipe(v.number(), v.check((value) => Number.isSafeInteger(value) && value >= 1, 'a whole number from 1'))
const channelNumbers = v.pipe(v.array(v.pipe(v.number(), v.finite())), v.check((list) => list.length === 1 || list.length === 3, 'one number, or one for each channel'))
const preprocess = section({
  input: v.optional(v.string()),
  size: v.optional(v.tuple([count, count])),
  layout: oneOf(imageLayouts),
  channels: v.optional(oneOf(imageChannels), 'rgb'),
  scale: v.pipe(v.number(), v.finite()),
  mean: v.optional(channelNumbers, [0]),
  std: v.optional(v.pipe(channelNumbers, v.check((list) => !list.includes(0), 'no 0')), [1]),
} satisfies SchemasOf<PreprocessOptions>)
const calibrationSection = v.pipe(
  section({
    samples: v.optional(folder),
    images: v.optional(folder),
    preprocess: v.optional(preprocess),
    method: v.optional(oneOf(calibrationMethods)),
    percentile: v.optional(v.pipe(v.number(), v.check((value) => value > 50 && value <= 100, 'more than 50 and at most 100')), 99.999),
    limit: v.optional(count, 512),
    timeout: v.optional(quantity(timeUnits, `a positive number of milliseconds, or text such as '90s'`), '60s'),
  } satisfies SchemasOf<CalibrationOptions>),
  v.check(({ samples, images }) => (samples === undefined) !== (images === undefined), 'samples or images, and not both'),
  v.check(({ images, preprocess: declared }) => (images === undefined) === (declared === undefined), 'preprocess with images, and only with them'),
)
const calibration = v.pipe(
  v.custom<string | CalibrationOptions>((input) => (typeof input === 'string' ? input !== '' : typeof input === 'object'), 'a glob, the path of a module, or an object'),
  v.transform((input): CalibrationOptions => (typeof input === 'string' ? { samples: input } : input)),
  calibrationSection,
)

const precision = {
  fp32: v.optional(v.pipe(uniqueList(v.string()), v.readonly()), []),
  maxDepth: v.optional(v.pipe(v.number(), v.check((depth) => depth >= 1, 'a number from 1'))),
  autoPin: v.optional(v.boolean(), false),
}
const tolerance = v.pipe(v.number(), v.check((value) => value >= 0 && value < Infinity, 'a number from 0'))
const share = v.pipe(v.number(), v.check((value) => value >= 0 && value <= 1, 'a number from 0 to 1'))
const verifySection = section({
  samples: v.optional(calibration),
  atol: v.optional(tolerance),
  rtol: v.optional(tolerance),
  cosine: v.optional(share),
  argmax: v.optional(share),
  timeout: v.optional(v.pipe(v.number(), v.check((ms) => ms > 0, 'milliseconds'))),
} satisfies SchemasOf<VerifyOptions>)
const verify = v.lazy((input) => (typeof input === 'object' ? verifySection : v.literal(false, 'false or an object')))

const modelSchema = section({
  engine: v.optional(engine),
  backends: v.optional(backends),
  targets: v.optional(targets),
  shapes: v.optional(shapes),
  profiles: v.optional(profiles),
  calibration: v.optional(calibration),
  precision: v.optional(section(v.partial(v.strictObject(precision)).entries)),
  verify: v.optional(verify),
  keepOnnx: v.optional(folder),
  onnxruntime: v.optional(section(v.partial(v.strictObject(onnxruntime)).entries)),
  openvino: v.optional(section(v.partial(v.strictObject(openvino)).entries)),
  tensorrtRtx: v.optional(section(v.partial(v.strictObject(tensorrtRtx)).entries)),
  tensorrt: v.optional(section(v.partial(v.strictObject(tensorrt)).entries)),
} satisfies SchemasOf<ModelOptions>)

const schema = section({
  engine: v.optional(engine, 'fp32'),
  backends: v.optional(backends, 'auto'),
  targets: v.optional(targets, []),
  shapes: v.optional(shapes, {}),
  profiles: v.optional(profiles, []),
  calibration: v.optional(calibration),
  precision: v.optional(section(precision), {}),
  verify: v.optional(verify, {}),
  keepOnnx: v.optional(folder),
  onnxruntime: v.optional(section(onnxruntime), {}),
  openvino: v.optional(section(openvino), {}),
  tensorrtRtx: v.optional(section(tensorrtRtx), {}),
  tensorrt: v.optional(section(tensorrt), {}),
  models: v.optional(recordOf(modelSchema), {}),
  root: v.optional(folder),
  cache: v.optional(section({
    dir: v.optional(folder, 'node_modules/.cache/unplugin-onnx'),
    maxSize: v.optional(quantity(byteUnits, `a positive number of bytes, or text such as '5GB'`), '10GB'),
    maxAge: v.optional(quantity(timeUnits, `a positive number of milliseconds, or text such as '30d'`), '30d'),
  } satisfies SchemasOf<CacheOptions>), {}),
  types: v.optional(v.lazy((input) => (
    typeof input === 'object' ? section({ dir: v.optional(folder, '.unplugin-onnx') } satisfies SchemasOf<TypesOptions>) : v.literal(false, 'false or an object')
  )), {}),
  assetsDir: v.optional(v.pipe(v.string(), v.regex(/^(?![\\/]|[A-Za-z]:)(?!(?:.*[\\/])?\.\.(?:[\\/]|$)).+$/, 'a relative path inside the output folder')), 'assets'),
  standalone: v.optional(v.boolean(), false),
  verbose: v.optional(v.boolean(), false),
} satisfies SchemasOf<Options>)

/**
 * Checks what the user wrote and fills in every default. `root` is the bundler's; the option of that name wins. Throws
 * OPTION_INVALID with the key path, what was expected, what was received and the nearest valid name.
 */
export function resolveOptions(user: unknown = {}, root: string = process.cwd()): ResolvedOptions {
  const options = read(schema, user, 'OPTION_INVALID', (path) => (path.length > 0 ? `option '${keyPath(path)}'` : 'the options'))
  for (const glob of Object.keys(options.models)) {
    if (glob === '' || glob.startsWith('!')) {
      throw new OnnxEngineError('OPTION_INVALID', `option '${keyPath(['models', glob])}'`, { expected: `a glob that is not empty and does not start with '!'`, received: `'${glob}'` })
    }
  }
  const base = resolve(root, options.root ?? '')
  return {
    ...options,
    root: base,
    cache: { ...options.cache, dir: resolve(base, options.cache.dir) },
    types: options.types && { dir: resolve(base, options.types.dir) },
  }
}

/**
 * The options of one import. Later wins: top level, then each matching glob of `models` in the order written, then the query.
 * `shapes` and backend sections are merged key by key, everything else is replaced. An input that ends up both with fixed dims and in
 * a profile is a contradiction: QUERY_INVALID when the query has a part in it, OPTION_INVALID otherwise. QUERY_INVALID is
 * also thrown for a wrong name in the query.
 */
export function compileOptions(options: ResolvedOptions, request: ModelRequest, root: string = options.root): CompileOptions {
  const paths = modelPaths(request.file, root)
  const importText = requestKey({ ...request, file: paths[0] })
  const asked = read(modelSchema, modelOptionsOf(request.query), 'QUERY_INVALID', ([key]) => `import '${importText}': ${queryNames[String(key)] ?? String(key)}`)
  const matching = Object.entries(options.models).filter(([glob]) => {
    const matches = picomatch(glob, { dot: true })
    return paths.some((path) => matches(path))
  })
  const layers = [
    ['', options] as const,
    ...matching.map(([glob, layer]) => [`${keyPath(['models', glob])}.`, layer] as const),
    ['the query\'s ', asked] as const,
  ]
  const merged = layers.map(([, layer]) => layer).reduce<CompileOptions>(merge, options)
  const profiled = new Set(merged.profiles.flatMap(({ min, opt, max }) => [min, opt, max].flatMap((bound) => Object.keys(bound))))
  const both = Object.keys(merged.shapes).find((name) => profiled.has(name))
  if (both === undefined) return merged

  const shapesFrom = layers.findLast(([, layer]) => layer.shapes !== undefined && Object.hasOwn(layer.shapes, both))
  const profilesFrom = layers.findLast(([, layer]) => layer.profiles !== undefined)
  const fromQuery = shapesFrom?.[1] === asked || profilesFrom?.[1] === asked
  throw new OnnxEngineError(fromQuery ? 'QUERY_INVALID' : 'OPTION_INVALID', `model '${paths[0]}': input '${shorten(both)}'`, {
    expected: 'fixed dims or an optimization profile',
    received: `both, from ${shapesFrom?.[0]}shapes and from ${profilesFrom?.[0]}${profilesFrom?.[1] === asked ? 'min, opt and max' : 'profiles'}`,
    hint: 'Remove one of them',
  })
}

type ModelLayer = v.InferOutput<typeof modelSchema>

function merge(base: CompileOptions, layer: ModelLayer): CompileOptions {
  const samples = layer.calibration ?? base.calibration
  const keepOnnx = layer.keepOnnx ?? base.keepOnnx
  return {
    engine: layer.engine ?? base.engine,
    backends: layer.backends ?? base.backends,
    targets: layer.targets ?? base.targets,
    shapes: byName([...Object.entries(base.shapes), ...Object.entries(layer.shapes ?? {})]),
    profiles: layer.profiles ?? base.profiles,
    onnxruntime: { ...base.onnxruntime, ...layer.onnxruntime },
    openvino: { ...base.openvino, ...layer.openvino },
    tensorrtRtx: { ...base.tensorrtRtx, ...layer.tensorrtRtx },
    tensorrt: { ...base.tensorrt, ...layer.tensorrt },
    ...(samples && { calibration: samples }),
    precision: { ...base.precision, ...layer.precision },
    verify: layer.verify ?? base.verify,
    ...(keepOnnx !== undefined && { keepOnnx }),
  }
}

// How the keys of ModelOptions are called in a query. Shapes and profiles have passed the query's own grammar.
const queryNames: Readonly<Record<string, string>> = { engine: 'engine', backends: 'backend', targets: 'target' }

/** What a query says, as options: not checked yet. */
export function modelOptionsOf({ engine, backend, target, shapes, min, opt, max }: Query): { readonly [K in keyof ModelOptions]: unknown } {
  return {
    engine,
    backends: backend?.length === 1 && backend[0] === 'auto' ? 'auto' : backend,
    targets: target,
    shapes,
    profiles: min && [{ min, opt, max }],
  }
}

/** The texts that a glob may match, with '/' on every platform; the first one is for messages. */
function modelPaths(file: string, root: string): [string, ...string[]] {
  const absolute = slashes(resolve(root, file))
  const inPackage = absolute.lastIndexOf('/node_modules/')
  return [slashes(relative(root, absolute)), absolute, ...(inPackage < 0 ? [] : [absolute.slice(inPackage + '/node_modules/'.length)])]
}

function slashes(path: string): string {
  return sep === '/' ? path : path.replaceAll(sep, '/')
}
