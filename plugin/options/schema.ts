import * as v from 'valibot'
import { backendNames, dimsChecks, type Precision, precisions } from '../../runtime/manifest.ts'
import { onnxruntime, openvino, tensorrt, tensorrtRtx, web } from './backend-schema.ts'
import { platforms } from './build-target.ts'
import { convert } from './convert-schema.ts'
import { remoteCache } from './remote-schema.ts'
import { calibration } from './sample-schema.ts'
import type { VerifyOptions } from './sample-types.ts'
import type { BackendEntry } from './served-types.ts'
import { backendEntry, isOrdered } from './served-variant.ts'
import { defaultCacheDir, ioPrecisions, whenSlowerActions } from './types.ts'
import type { CacheOptions, ModelOptions, Options, Profile, TypesOptions, ValueBounds } from './types.ts'
import { byteCount, duration, oneOf, filePath, recordOf, section, uniqueList, type SchemasOf } from './validators.ts'

/** The options with all defaults, absolute folders, bytes and milliseconds. */
export type ResolvedOptions = v.InferOutput<typeof schema> & { readonly root: string }

/** The options of one model, defaults filled in. */
export interface CompileOptions extends Omit<MergedOptions, 'engine'> {
  /** Precision of the engines; fp32 where the build chooses. */
  readonly engine: Precision
  /** Whether the build takes the fastest precision that keeps the limits: `engine: 'auto'`. */
  readonly fastest: boolean
}

/** The part of the options that a look for a library needs. */
export type ProbeOptions = Omit<CompileOptions, 'engine' | 'fastest'>

/** The options of one model as the user gave them. */
export type MergedOptions = Pick<ResolvedOptions, keyof ModelOptions>

/** Where samples come from and how they are used, defaults filled in. */
export type Calibration = NonNullable<CompileOptions['calibration']>

const engine = oneOf([...precisions, 'auto'])
const backendList = v.pipe(
  uniqueList(backendEntry),
  v.check((names) => names.length > 0, 'at least one backend'),
  v.check((names) => isOrdered(names), 'one server at most, before or after the backends'),
  v.transform((names): readonly BackendEntry[] => names),
)
const backends = v.lazy((input) =>
  Array.isArray(input) ? backendList : v.literal('auto', `'auto' or a list of ${backendNames.join(', ')}`),
)
const target = v.pipe(v.string(), v.regex(/^sm\d{2,3}$/, `a compute capability such as 'sm86'`))
const targets = v.pipe(
  uniqueList(target),
  v.transform((names): readonly string[] => [...names].sort()),
)
const numbers = v.pipe(v.array(v.number()), v.readonly())
const shapes = recordOf(numbers)
const valueBounds = section({
  min: numbers,
  opt: numbers,
  max: numbers,
} satisfies SchemasOf<ValueBounds>)
const profileList = v.pipe(
  v.array(
    section({
      min: shapes,
      opt: shapes,
      max: shapes,
      values: v.optional(recordOf(valueBounds)),
    } satisfies SchemasOf<Profile>),
  ),
  v.readonly(),
)
const profiles = v.lazy((input) =>
  typeof input === 'string' ? v.literal('auto', `'auto' or a list of profiles`) : profileList,
)
const names = v.pipe(uniqueList(v.string()), v.readonly())
const optionalInputs = v.lazy((input) =>
  Array.isArray(input) ? names : v.literal(true, 'true or a list of names of inputs'),
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
  autoPin: v.optional(v.boolean()),
  whenSlower: v.optional(oneOf(whenSlowerActions), 'fp32'),
  search: v.optional(v.boolean()),
  budget: v.optional(duration('2m'), '2m'),
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
  maxError: v.optional(tolerance),
  metric: v.optional(filePath),
  argmax: v.optional(share),
  timeout: v.optional(duration('90s')),
} satisfies SchemasOf<VerifyOptions>)
const verify = v.lazy((input) => (typeof input === 'object' ? verifySection : v.literal(false, 'false or an object')))

/** The options of a glob of `models`, or of a query: nothing has a default. */
export const modelSchema = section({
  engine: v.optional(engine),
  backends: v.optional(backends),
  targets: v.optional(targets),
  shapes: v.optional(shapes),
  profiles: v.optional(profiles),
  dims: v.optional(oneOf(dimsChecks)),
  outputs: v.optional(names),
  optionalInputs: v.optional(optionalInputs),
  calibration: v.optional(calibration),
  precision: v.optional(section(v.partial(v.strictObject(precision)).entries)),
  verify: v.optional(verify),
  keepOnnx: v.optional(filePath),
  onnxruntime: v.optional(section(v.partial(v.strictObject(onnxruntime)).entries)),
  openvino: v.optional(section(v.partial(v.strictObject(openvino)).entries)),
  tensorrtRtx: v.optional(section(v.partial(v.strictObject(tensorrtRtx)).entries)),
  tensorrt: v.optional(section(v.partial(v.strictObject(tensorrt)).entries)),
} satisfies SchemasOf<ModelOptions>)

/** THE schema of the options: validation and defaults. docs/options.md takes its defaults from here. */
export const schema = section({
  engine: v.optional(engine, 'fp32'),
  backends: v.optional(backends, 'auto'),
  targets: v.optional(targets, []),
  shapes: v.optional(shapes, {}),
  profiles: v.optional(profiles, []),
  dims: v.optional(oneOf(dimsChecks), 'named'),
  outputs: v.optional(names, []),
  optionalInputs: v.optional(optionalInputs, []),
  calibration: v.optional(calibration),
  precision: v.optional(section(precision), {}),
  verify: v.optional(verify, {}),
  keepOnnx: v.optional(filePath),
  onnxruntime: v.optional(section(onnxruntime), {}),
  openvino: v.optional(section(openvino), {}),
  tensorrtRtx: v.optional(section(tensorrtRtx), {}),
  tensorrt: v.optional(section(tensorrt), {}),
  models: v.optional(recordOf(modelSchema), {}),
  convert: v.optional(convert, {}),
  root: v.optional(filePath),
  cache: v.optional(
    section({
      dir: v.optional(filePath, defaultCacheDir),
      maxSize: v.optional(byteCount('5GB'), '10GB'),
      maxAge: v.optional(duration('30d'), '30d'),
      remote: v.optional(remoteCache),
    } satisfies SchemasOf<CacheOptions>),
    {},
  ),
  types: v.optional(
    v.lazy((input) =>
      typeof input === 'object'
        ? section({ dir: v.optional(filePath, '.unplugin-onnx') } satisfies SchemasOf<TypesOptions>)
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
  platform: v.optional(oneOf(platforms), 'auto'),
  web: v.optional(web, {}),
  frozen: v.optional(v.boolean(), false),
  verbose: v.optional(v.boolean(), false),
  events: v.optional(filePath),
} satisfies SchemasOf<Options>)
