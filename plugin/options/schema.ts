import * as v from 'valibot'
import { backendNames, precisions } from '../../runtime/manifest.ts'
import {
  calibrationMethods,
  hardwareCompatibilities,
  imageChannels,
  imageLayouts,
  ioPrecisions,
  optimizationLevels,
  performanceHints,
  profilingVerbosities,
} from './types.ts'
import type {
  CacheOptions,
  CalibrationOptions,
  ModelOptions,
  Options,
  PreprocessOptions,
  Profile,
  TypesOptions,
  ValueBounds,
  VerifyOptions,
} from './types.ts'
import { oneOf, quantity, recordOf, section, uniqueList } from './validators.ts'

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
const backendList = v.pipe(
  uniqueList(oneOf(backendNames)),
  v.check((names) => names.length > 0, 'at least one backend'),
)
const backends = v.lazy((input) =>
  Array.isArray(input) ? backendList : v.literal('auto', `'auto' or a list of ${backendNames.join(', ')}`),
)
const target = v.pipe(v.string(), v.regex(/^sm\d{2,3}$/, `a compute capability such as 'sm86'`))
const targets = v.pipe(
  uniqueList(target),
  v.transform((names): readonly string[] => [...names].sort()),
)
const shapes = recordOf(v.array(v.number()))
const valueBounds = section({
  min: v.array(v.number()),
  opt: v.array(v.number()),
  max: v.array(v.number()),
} satisfies SchemasOf<ValueBounds>)
const profiles = v.array(
  section({
    min: shapes,
    opt: shapes,
    max: shapes,
    values: v.optional(recordOf(valueBounds)),
  } satisfies SchemasOf<Profile>),
)
const onnxruntime = {
  optimization: v.optional(oneOf(optimizationLevels), 'all'),
  portable: v.optional(v.boolean(), true),
}
const folder = v.pipe(
  v.string(),
  v.check((path) => path !== '', 'a path'),
)
const openvino = {
  device: v.optional(
    v.pipe(v.string(), v.regex(/^[A-Z]+(\.\d+)?$/, `a device such as 'CPU', 'GPU.1' or 'NPU'`)),
    'CPU',
  ),
  performanceHint: v.optional(oneOf(performanceHints), 'latency'),
  threads: v.optional(
    v.pipe(
      v.number(),
      v.check((count) => Number.isSafeInteger(count) && count >= 1, 'a whole number from 1'),
    ),
  ),
  library: v.optional(folder),
}
const whole = (least: number, most: number, phrase: string) =>
  v.pipe(
    v.number(),
    v.check((count) => Number.isSafeInteger(count) && count >= least && count <= most, phrase),
  )
const tensorrtRtx = {
  library: v.optional(folder),
  builderOptimizationLevel: v.optional(whole(0, 5, 'a whole number from 0 to 5')),
  maxAuxStreams: v.optional(whole(0, 128, 'a whole number from 0 to 128')),
  memoryPoolLimits: v.optional(
    section({ workspace: v.optional(quantity(byteUnits, `a positive number of bytes, or text such as '2GiB'`)) }),
    {},
  ),
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
const count = v.pipe(
  v.number(),
  v.check((value) => Number.isSafeInteger(value) && value >= 1, 'a whole number from 1'),
)
const channelNumbers = v.pipe(
  v.array(v.pipe(v.number(), v.finite())),
  v.check((list) => list.length === 1 || list.length === 3, 'one number, or one for each channel'),
)
const preprocess = section({
  input: v.optional(v.string()),
  size: v.optional(v.tuple([count, count])),
  layout: oneOf(imageLayouts),
  channels: v.optional(oneOf(imageChannels), 'rgb'),
  scale: v.pipe(v.number(), v.finite()),
  mean: v.optional(channelNumbers, [0]),
  std: v.optional(
    v.pipe(
      channelNumbers,
      v.check((list) => !list.includes(0), 'no 0'),
    ),
    [1],
  ),
} satisfies SchemasOf<PreprocessOptions>)
const calibrationSection = v.pipe(
  section({
    samples: v.optional(folder),
    images: v.optional(folder),
    preprocess: v.optional(preprocess),
    method: v.optional(oneOf(calibrationMethods)),
    percentile: v.optional(
      v.pipe(
        v.number(),
        v.check((value) => value > 50 && value <= 100, 'more than 50 and at most 100'),
      ),
      99.999,
    ),
    limit: v.optional(count, 512),
    timeout: v.optional(quantity(timeUnits, `a positive number of milliseconds, or text such as '90s'`), '60s'),
  } satisfies SchemasOf<CalibrationOptions>),
  v.check(
    ({ samples, images }) => (samples === undefined) !== (images === undefined),
    'samples or images, and not both',
  ),
  v.check(
    ({ images, preprocess: declared }) => (images === undefined) === (declared === undefined),
    'preprocess with images, and only with them',
  ),
)
const calibration = v.pipe(
  v.custom<string | CalibrationOptions>(
    (input) => (typeof input === 'string' ? input !== '' : typeof input === 'object'),
    'a glob, the path of a module, or an object',
  ),
  v.transform((input): CalibrationOptions => (typeof input === 'string' ? { samples: input } : input)),
  calibrationSection,
)

const precision = {
  fp32: v.optional(v.pipe(uniqueList(v.string()), v.readonly()), []),
  maxDepth: v.optional(
    v.pipe(
      v.number(),
      v.check((depth) => depth >= 1, 'a number from 1'),
    ),
  ),
  io: v.optional(oneOf(ioPrecisions), 'fp32'),
  autoPin: v.optional(v.boolean(), false),
}
const tolerance = v.pipe(
  v.number(),
  v.check((value) => value >= 0 && value < Infinity, 'a number from 0'),
)
const share = v.pipe(
  v.number(),
  v.check((value) => value >= 0 && value <= 1, 'a number from 0 to 1'),
)
const verifySection = section({
  samples: v.optional(calibration),
  atol: v.optional(tolerance),
  rtol: v.optional(tolerance),
  cosine: v.optional(share),
  argmax: v.optional(share),
  timeout: v.optional(quantity(timeUnits, `a positive number of milliseconds, or text such as '90s'`)),
} satisfies SchemasOf<VerifyOptions>)
const verify = v.lazy((input) => (typeof input === 'object' ? verifySection : v.literal(false, 'false or an object')))

/** What a glob of `models`, or a query, may say: nothing has a default. */
export const modelSchema = section({
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

/** THE schema of the options: validation and defaults. The docs' table is made from it and from option-types.ts. */
export const schema = section({
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
  cache: v.optional(
    section({
      dir: v.optional(folder, 'node_modules/.cache/unplugin-onnx'),
      maxSize: v.optional(quantity(byteUnits, `a positive number of bytes, or text such as '5GB'`), '10GB'),
      maxAge: v.optional(quantity(timeUnits, `a positive number of milliseconds, or text such as '30d'`), '30d'),
    } satisfies SchemasOf<CacheOptions>),
    {},
  ),
  types: v.optional(
    v.lazy((input) =>
      typeof input === 'object'
        ? section({ dir: v.optional(folder, '.unplugin-onnx') } satisfies SchemasOf<TypesOptions>)
        : v.literal(false, 'false or an object'),
    ),
    {},
  ),
  assetsDir: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^(?![\\/]|[A-Za-z]:)(?!(?:.*[\\/])?\.\.(?:[\\/]|$)).+$/, 'a relative path inside the output folder'),
    ),
    'assets',
  ),
  standalone: v.optional(v.boolean(), false),
  verbose: v.optional(v.boolean(), false),
} satisfies SchemasOf<Options>)
