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
  /** Settings of the ONNX Runtime backend. */
  readonly onnxruntime?: OnnxRuntimeOptions
  /** Settings of the OpenVINO backend. */
  readonly openvino?: OpenVinoOptions
}

export const optimizationLevels = ['disabled', 'basic', 'extended', 'all'] as const
export type OptimizationLevel = (typeof optimizationLevels)[number]

export interface OnnxRuntimeOptions {
  /** Level of the offline graph optimization, in ONNX Runtime's terms. `'all'` lays weights out for the build machine's kind of CPU. */
  readonly optimization?: OptimizationLevel
  /** Adds a portable engine beside one that runs on the build machine's kind of CPU only. */
  readonly portable?: boolean
}

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

const modelSchema = section({
  engine: v.optional(engine),
  backends: v.optional(backends),
  targets: v.optional(targets),
  shapes: v.optional(shapes),
  profiles: v.optional(profiles),
  onnxruntime: v.optional(section(v.partial(v.strictObject(onnxruntime)).entries)),
  openvino: v.optional(section(v.partial(v.strictObject(openvino)).entries)),
} satisfies SchemasOf<ModelOptions>)

const schema = section({
  engine: v.optional(engine, 'fp32'),
  backends: v.optional(backends, 'auto'),
  targets: v.optional(targets, []),
  shapes: v.optional(shapes, {}),
  profiles: v.optional(profiles, []),
  onnxruntime: v.optional(section(onnxruntime), {}),
  openvino: v.optional(section(openvino), {}),
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
  return {
    engine: layer.engine ?? base.engine,
    backends: layer.backends ?? base.backends,
    targets: layer.targets ?? base.targets,
    shapes: byName([...Object.entries(base.shapes), ...Object.entries(layer.shapes ?? {})]),
    profiles: layer.profiles ?? base.profiles,
    onnxruntime: { ...base.onnxruntime, ...layer.onnxruntime },
    openvino: { ...base.openvino, ...layer.openvino },
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
