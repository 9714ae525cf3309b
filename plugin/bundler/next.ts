import { createRequire } from 'node:module'
import { cpus } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { platformName } from '../../native/platform.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { slimRuntime } from '../emit/runtime-package.ts'
import { writeEngines } from '../emit/turbopack.ts'
import { foreignQuery } from '../options/query.ts'
import { resolveOptions } from '../options/resolve.ts'
import type { Options } from '../options/types.ts'
import { linesOf, typeSources } from '../types/sync.ts'
import type { Refusal } from './adapter.ts'
import { nodeOnly } from './target.ts'
import type { TurbopackOptions } from './turbopack-loader.mts'
import { onnxPlugin } from './unplugin.ts'
import { webpackAdapter } from './webpack.ts'

/** A configuration of Next.js, or a function that returns one. */
export type NextConfigOrFunction<Config extends object> =
  | Config
  | ((phase: string, context: never) => Config | Promise<Config>)

/**
 * A configuration of Next.js 16 whose server code imports models: route handlers, server components and actions, in
 * Turbopack and in webpack.
 */
export function withOnnx<Config extends object>(
  config: NextConfigOrFunction<Config> = {} as Config,
  options: Options = {},
): (phase: string, context: object) => Promise<Config> {
  return async (phase, context) => {
    const user = (typeof config === 'function' ? await config(phase, context as never) : config) as NextConfig
    if (!phase.endsWith('-build') && !phase.endsWith('-server')) return user as Config
    // `next start` reads the configuration too: there is nothing to compile.
    if (phase === 'phase-production-server') return user as Config
    const site: NextSite = {
      options: { root: process.cwd(), ...options },
      distDir: user.distDir ?? '.next',
      isServer: phase === 'phase-development-server',
    }
    await writeTypes(site)
    return nextConfig(user, site) as Config
  }
}

/** The part of the configuration that is used here. */
interface NextConfig {
  readonly distDir?: string
  readonly serverExternalPackages?: readonly string[]
  readonly outputFileTracingIncludes?: Globs
  readonly outputFileTracingExcludes?: Globs
  readonly turbopack?: { readonly rules?: Readonly<Record<string, unknown>> }
  readonly compiler?: { readonly runAfterProductionCompile?: AfterCompile }
  readonly webpack?: ((config: WebpackConfig, context: WebpackContext) => WebpackConfig) | null
}

type Globs = Readonly<Record<string, readonly string[]>>

type AfterCompile = (paths: { readonly projectDir: string; readonly distDir: string }) => Promise<void>

interface WebpackConfig {
  plugins?: unknown[]
}

interface WebpackContext {
  readonly isServer: boolean
  readonly nextRuntime?: 'nodejs' | 'edge'
}

interface NextSite {
  readonly options: Options & { readonly root: string }
  readonly distDir: string
  readonly isServer: boolean
}

/** Before Next.js checks types, which it does in every build. */
async function writeTypes({ options }: NextSite): Promise<void> {
  const resolved = resolveOptions(options)
  if (resolved.types === false) return
  for (const line of linesOf(await typeSources(resolved))) console.warn(line)
}

function nextConfig(user: NextConfig, site: NextSite): NextConfig {
  const { options, distDir } = site
  const { assetsDir } = resolveOptions(options)
  const afterCompile = user.compiler?.runAfterProductionCompile
  return {
    ...user,
    serverExternalPackages: [...(user.serverExternalPackages ?? []), 'unplugin-onnx', slimRuntime, 'onnxruntime-node'],
    outputFileTracingIncludes: merge(user.outputFileTracingIncludes, [
      `${distDir}/server/${assetsDir}/**`,
      `${distDir}/server/chunks/${assetsDir}/**`,
      ...runtimeFiles(options.root),
    ]),
    outputFileTracingExcludes: merge(user.outputFileTracingExcludes, foreignLibraries()),
    turbopack: { ...user.turbopack, rules: { ...turbopackRules(site, assetsDir), ...user.turbopack?.rules } },
    compiler: {
      ...user.compiler,
      async runAfterProductionCompile(paths) {
        const server = join(paths.distDir, 'server')
        await writeEngines(server, { kept: keptFolder(site), output: join(server, assetsDir) })
        await afterCompile?.(paths)
      },
    },
    webpack(config, context) {
      const { plugins = [] } = config
      plugins.push(webpackPlugin(context)(options))
      return user.webpack?.({ ...config, plugins }, context) ?? { ...config, plugins }
    },
  }
}

// Next.js keeps this folder from build to build, and removes the others.
function keptFolder({ options: { root }, distDir }: NextSite): string {
  return join(root, distDir, 'cache', 'unplugin-onnx')
}

const loader = fileURLToPath(new URL('./turbopack-loader.mjs', import.meta.url))

function turbopackRules(site: NextSite, assetsDir: string): Readonly<Record<string, unknown>> {
  const { options, distDir, isServer } = site
  const folders = { kept: keptFolder(site), output: join(options.root, distDir, 'server', assetsDir) }
  const common: TurbopackOptions = { options: asJson(options), folders, isServer, machine: machineText(options.root) }
  const rule = (target: string, refusal?: Refusal) => ({
    condition: { all: [target, { not: { query: foreignQuery } }] },
    loaders: [{ loader, options: { ...common, ...(refusal && { refusal }) } }],
    as: '*.js',
  })
  const endings = Object.keys(options.convert ?? {}).filter((key) => key.startsWith('.'))
  const rules = [rule('edge-light', edge), rule('browser', browser), rule('node')]
  return Object.fromEntries(['.onnx', ...endings].map((ending) => [`*${ending}`, rules]))
}

const edge: Refusal = {
  subject: 'the Edge Runtime of Next.js',
  expected: 'a route that runs in Node.js',
  received: 'code of the Edge Runtime, which loads no native code',
  hint: `Remove export const runtime = 'edge' from the route, or import the model in another one`,
}

const browser: Refusal = {
  subject: 'a client component of Next.js',
  expected: 'code of the server: a route handler, a server component or an action',
  received: 'code for browsers',
  hint: nodeOnly,
}

function webpackPlugin({ isServer, nextRuntime }: WebpackContext) {
  const refusal = nextRuntime === 'edge' ? edge : browser
  const runsInNode = isServer && nextRuntime !== 'edge'
  return onnxPlugin(() => (project) => ({
    ...webpackAdapter(project),
    refusal: () => (runsInNode ? undefined : refusal),
  })).webpack
}

// Turbopack hands options to its loaders as JSON.
function asJson(options: Options): Options {
  const text = JSON.stringify(options, (key, value: unknown) => {
    if (typeof value !== 'function') return value
    throw new OnnxEngineError('OPTION_INVALID', `option '${key}'`, {
      expected: 'an option that is data, because Turbopack hands options to another process',
      received: 'a function',
      hint: 'Build with next build --webpack',
    })
  })
  return JSON.parse(text) as Options
}

function machineText(root: string): string {
  const require = createRequire(join(root, 'package.json'))
  const versions = ['unplugin-onnx', 'onnxruntime-node'].map((name) => {
    try {
      return (require(`${name}/package.json`) as { readonly version: string }).version
    } catch {
      return ''
    }
  })
  return [...versions, cpus()[0]?.model, platformName()].join(' ')
}

/** What the tracer of Next.js may miss: libraries that only native code opens, and the runtime's worker. */
function runtimeFiles(root: string): readonly string[] {
  const require = createRequire(join(root, 'package.json'))
  const files = (entry: string, globs: readonly string[]): readonly string[] => {
    try {
      const folder = relative(root, join(require.resolve(entry), '..')).replaceAll('\\', '/')
      return globs.map((glob) => `${folder}/${glob}`)
    } catch {
      // Without it, the build of a model says what is missing.
      return []
    }
  }
  return [
    ...['unplugin-onnx', slimRuntime].flatMap((name) =>
      files(`${name}/package.json`, ['package.json', 'dist/{runtime,native}/**/*.{js,cjs}']),
    ),
    ...files('onnxruntime-node/package.json', [`bin/napi-v*/${process.platform}/${process.arch}/**`]),
  ]
}

/** ONNX Runtime's libraries for other platforms, more than 200 MB. */
function foreignLibraries(): readonly string[] {
  const platforms = ['darwin', 'linux', 'win32'].filter((name) => name !== process.platform)
  const processors = ['arm64', 'x64'].filter((name) => name !== process.arch)
  return [
    ...platforms.map((name) => `**/onnxruntime-node/bin/napi-v*/${name}/**`),
    ...processors.map((name) => `**/onnxruntime-node/bin/napi-v*/${process.platform}/${name}/**`),
  ]
}

// Every route: which of them runs a model is known only to the bundler.
function merge(globs: Globs = {}, added: readonly string[]): Globs {
  const { '/**': own = [], ...rest } = globs
  return { ...rest, '/**': [...own, ...added] }
}
