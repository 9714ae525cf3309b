// The options of the plugin, from what users write to what a compilation uses: types.ts and backend-types.ts declare
// them, the schemas check them and fill in defaults, query.ts reads the query of an import, and this file puts the
// layers together.
import { createRequire } from 'node:module'
import { basename, resolve, relative, sep } from 'node:path'
import type picomatch from 'picomatch'
import type * as v from 'valibot'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { keyPath, shorten, byName } from '../text.ts'
import { type ConfigFile, readConfig } from './config-file.ts'
import { listedProfiles } from './listed-profiles.ts'
import { type ModelRequest, modelId, type Query } from './query.ts'
import { type CompileOptions, type MergedOptions, type ResolvedOptions, schema, modelSchema } from './schema.ts'
import type { ModelOptions, Options } from './types.ts'
import { validate } from './validators.ts'

/**
 * The options of an entry, checked, and the file that they are from: if the entry received none, that of the app. Given
 * options replace the file. Throws OPTION_INVALID.
 */
export function appOptions(user: Options | undefined, root: string = process.cwd()): AppOptions {
  const config = user === undefined ? readConfig(root) : undefined
  return { options: resolveOptions(user ?? config?.options, root, config?.file), config }
}

export interface AppOptions {
  readonly options: ResolvedOptions
  /** The file that the options are from; undefined if they are from elsewhere. */
  readonly config: ConfigFile | undefined
}

/**
 * Checks the user's options and fills in every default. `root` is the bundler's; the option of that name wins. Throws
 * OPTION_INVALID with the key path, what was expected, what was received and the nearest valid name. `file` is where
 * the options are from, for messages.
 */
export function resolveOptions(user: unknown = {}, root: string = process.cwd(), file?: string): ResolvedOptions {
  const place = file === undefined ? '' : `${basename(file)}: `
  const options = validate(schema, user, 'OPTION_INVALID', (path) =>
    path.length > 0 ? `${place}option '${keyPath(path)}'` : `${place}the options`,
  )
  for (const glob of Object.keys(options.models)) {
    if (glob === '' || glob.startsWith('!')) {
      throw new OnnxEngineError('OPTION_INVALID', `${place}option '${keyPath(['models', glob])}'`, {
        expected: `a glob that is not empty and does not start with '!'`,
        received: `'${glob}'`,
      })
    }
  }
  const base = resolve(root, options.root ?? '')
  return {
    ...options,
    root: base,
    cache: { ...options.cache, dir: resolve(base, options.cache.dir) },
    types: options.types && { dir: resolve(base, options.types.dir) },
    ...(options.events !== undefined && { events: resolve(base, options.events) }),
  }
}

/**
 * The options of one import. Later wins: top level, then each matching glob of `models` in the order written, then the
 * query. `shapes` and backend sections are merged key by key, everything else is replaced. An input with fixed dims
 * that is also in a profile is a contradiction: QUERY_INVALID when one of the two is from the query, OPTION_INVALID
 * otherwise. QUERY_INVALID is also thrown for a wrong name in the query.
 */
export function compileOptions(
  options: ResolvedOptions,
  request: ModelRequest,
  root: string = options.root,
): CompileOptions {
  const paths = modelPaths(request.file, root)
  const fromQuery = validate(
    modelSchema,
    modelOptionsOf(request.query),
    'QUERY_INVALID',
    ([key]) => `import '${modelId({ ...request, file: paths[0] }).text}': ${queryNames[String(key)] ?? String(key)}`,
  )
  const matching = Object.entries(options.models).filter(([glob]) => matchesAny(glob, paths))
  const layers = [
    ['', options] as const,
    ...matching.map(([glob, layer]) => [`${keyPath(['models', glob])}.`, layer] as const),
    ["the query's ", fromQuery] as const,
  ]
  const merged = layers.map(([, layer]) => layer).reduce<MergedOptions>(merge, options)
  const profiled = new Set(
    listedProfiles(merged).flatMap(({ min, opt, max }) => [min, opt, max].flatMap((bound) => Object.keys(bound))),
  )
  const both = Object.keys(merged.shapes).find((name) => profiled.has(name))
  if (both === undefined) return withPrecision(merged)

  const shapesFrom = layers.findLast(([, layer]) => layer.shapes !== undefined && Object.hasOwn(layer.shapes, both))
  const profilesFrom = layers.findLast(([, layer]) => layer.profiles !== undefined)
  const isFromQuery = shapesFrom?.[1] === fromQuery || profilesFrom?.[1] === fromQuery
  const profilesKey = profilesFrom?.[1] === fromQuery ? 'min, opt and max' : 'profiles'
  throw new OnnxEngineError(
    isFromQuery ? 'QUERY_INVALID' : 'OPTION_INVALID',
    `model '${paths[0]}': input '${shorten(both)}'`,
    {
      expected: 'fixed dims or an optimization profile',
      received: `both, from ${shapesFrom?.[0]}shapes and from ${profilesFrom?.[0]}${profilesKey}`,
      hint: 'Remove one of them',
    },
  )
}

/** Key paths of the globs under `models` that match none of these files. */
export function unusedGlobs({ models, root }: ResolvedOptions, files: readonly string[]): readonly string[] {
  const paths = files.flatMap((file) => modelPaths(file, root))
  return Object.keys(models)
    .filter((glob) => !matchesAny(glob, paths))
    .map((glob) => keyPath(['models', glob]))
}

type ModelLayer = v.InferOutput<typeof modelSchema>

function withPrecision({ engine, ...merged }: MergedOptions): CompileOptions {
  const fastest = engine === 'auto'
  return { ...merged, engine: fastest ? 'fp32' : engine, fastest }
}

function merge(base: MergedOptions, layer: ModelLayer): MergedOptions {
  const samples = layer.calibration ?? base.calibration
  const keepOnnx = layer.keepOnnx ?? base.keepOnnx
  return {
    engine: layer.engine ?? base.engine,
    backends: layer.backends ?? base.backends,
    targets: layer.targets ?? base.targets,
    shapes: byName([...Object.entries(base.shapes), ...Object.entries(layer.shapes ?? {})]),
    profiles: layer.profiles ?? base.profiles,
    dims: layer.dims ?? base.dims,
    outputs: layer.outputs ?? base.outputs,
    optionalInputs: layer.optionalInputs ?? base.optionalInputs,
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

// The names of the keys of ModelOptions in a query. Shapes and profiles have passed the query's own grammar.
const queryNames: Readonly<Record<string, string>> = {
  engine: 'engine',
  backends: 'backend',
  targets: 'target',
  precision: 'io',
  outputs: 'outputs',
}

/** A query as options, not checked yet. */
export function modelOptionsOf({ engine, io, backend, target, outputs, shapes, min, opt, max }: Query): {
  readonly [K in keyof ModelOptions]: unknown
} {
  return {
    engine,
    backends: backend?.length === 1 && backend[0] === 'auto' ? 'auto' : backend,
    targets: target,
    outputs,
    ...(io && { precision: { io } }),
    shapes,
    profiles: min && [{ min, opt, max }],
  }
}

const require = createRequire(import.meta.url)

function matchesAny(glob: string, paths: readonly string[]): boolean {
  // Loaded with the first glob, which few apps have: it takes a fifth of the time to load this plugin.
  const matches = (require('picomatch') as typeof picomatch)(glob, { dot: true })
  return paths.some((path) => matches(path))
}

/** The texts that a glob may match, with '/' on every platform; the first one is for messages. */
function modelPaths(file: string, root: string): [string, ...string[]] {
  const absolute = slashes(resolve(root, file))
  const inPackage = absolute.lastIndexOf('/node_modules/')
  return [
    slashes(relative(root, absolute)),
    absolute,
    ...(inPackage < 0 ? [] : [absolute.slice(inPackage + '/node_modules/'.length)]),
  ]
}

function slashes(path: string): string {
  return sep === '/' ? path : path.replaceAll(sep, '/')
}
