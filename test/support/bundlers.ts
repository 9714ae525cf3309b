import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { realpathSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify, stripVTControlCharacters } from 'node:util'
import { rspack as rspack2, type Configuration as RspackOptions } from '@rspack/core'
import {
  build as buildEsbuild,
  context as contextOfEsbuild,
  type BuildOptions as EsbuildOptions,
  type BuildResult as EsbuildResult,
} from 'esbuild'
import {
  rolldown,
  watch as watchRolldown,
  type OutputOptions as RolldownOutput,
  type Plugin as RolldownPlugin,
  type RolldownOutput as RolldownBuild,
} from 'rolldown'
import { rollup, watch as watchRollup, type OutputOptions as RollupOutput, type Plugin } from 'rollup'
import { rspack as rspack1 } from 'rspack1'
import type { Options } from 'unplugin-onnx'
import onnxForEsbuild from 'unplugin-onnx/esbuild'
import onnxForRolldown from 'unplugin-onnx/rolldown'
import onnxForRollup from 'unplugin-onnx/rollup'
import onnxForRspack from 'unplugin-onnx/rspack'
import onnxForVite from 'unplugin-onnx/vite'
import onnxForWebpack from 'unplugin-onnx/webpack'
import { build as buildVite, createLogger, type BuildOptions as ViteOptions, type InlineConfig } from 'vite'
import { build as buildVite6 } from 'vite6'
import { build as buildVite7 } from 'vite7'
import webpack, { type Configuration as WebpackOptions } from 'webpack'
import { appPackages } from './app.ts'
import { bunBinary } from './bun.ts'

/** One build of an app, whose alias '@' is its folder src. */
export interface Build {
  readonly root: string
  /** Folder of the output. */
  readonly dir: string
  /** The entry, called main in the output. Default: src/main.js. */
  readonly source?: string
  readonly options?: Options
  /** Takes what the bundler logs. */
  readonly lines?: string[]
}

export interface Case {
  readonly bundler: string
  readonly format: 'ESM' | 'CommonJS'
  /** What the case does besides. */
  readonly how: string
  /** File of the output that Node.js runs. */
  readonly entry: string
  run(build: Build): Promise<unknown>
}

const es = { format: 'es', entryFileNames: '[name].mjs', chunkFileNames: 'chunks/deep/[name]-[hash].mjs' } as const
const cjs = { format: 'cjs', entryFileNames: '[name].cjs', chunkFileNames: 'chunks/deep/[name]-[hash].cjs' } as const

const outputModule = { experiments: { outputModule: true } } as const
const packEs = {
  output: {
    module: true,
    filename: '[name].mjs',
    chunkFilename: 'chunks/deep/[name].mjs',
    library: { type: 'module' },
    chunkFormat: 'module',
    chunkLoading: 'import',
  },
} as const
const packCjs = {
  output: {
    filename: 'nested/[name].cjs',
    chunkFilename: 'chunks/deep/[name].cjs',
    library: { type: 'commonjs2' },
    publicPath: '/static/',
  },
} as const

/**
 * Every bundler with every output that it can make for Node.js. The first of each bundler stands for it in other tests.
 */
export const cases: readonly Case[] = [
  {
    bundler: 'Vite 8',
    format: 'ESM',
    how: '`build --ssr`, minified, source maps',
    entry: 'main.js',
    run: (build) =>
      withVite(build, { ssr: true, minify: true, sourcemap: true, rolldownOptions: { input: input(build) } }),
  },
  {
    bundler: 'Vite 8',
    format: 'CommonJS',
    how: '`build --ssr`',
    entry: 'main.cjs',
    run: (build) => withVite(build, { ssr: true, rolldownOptions: { input: input(build), output: cjs } }),
  },
  {
    bundler: 'Vite 8',
    format: 'ESM',
    how: '`build.lib`',
    entry: 'main.js',
    run: (build) => withVite(build, { lib: { entry: input(build), formats: ['es'] } }),
  },
  {
    bundler: 'Vite 8',
    format: 'CommonJS',
    how: '`build.lib`',
    entry: 'main.cjs',
    run: (build) => withVite(build, { lib: { entry: input(build), formats: ['cjs'] } }),
  },
  {
    bundler: 'Vite 8',
    format: 'ESM',
    how: 'client build with the condition `node`',
    entry: 'main.mjs',
    run: (build) =>
      withVite(build, { rolldownOptions: { input: input(build), output: es } }, buildVite, {
        resolve: { conditions: ['node'] },
      }),
  },
  ...Object.entries({ 'Vite 7': buildVite7, 'Vite 6': buildVite6 } as unknown as Record<
    string,
    typeof buildVite
  >).flatMap(([bundler, vite]): readonly Case[] => [
    {
      bundler,
      format: 'ESM',
      how: '`build --ssr`',
      entry: 'main.js',
      run: (build) => withVite(build, { ssr: true, rollupOptions: { input: input(build) } }, vite),
    },
    {
      bundler,
      format: 'CommonJS',
      how: '`build.lib`',
      entry: 'main.cjs',
      run: (build) => withVite(build, { lib: { entry: input(build), formats: ['cjs'] } }, vite),
    },
  ]),
  {
    bundler: 'Rollup',
    format: 'ESM',
    how: 'source maps',
    entry: 'main.mjs',
    run: (build) => withRollup(build, { ...es, sourcemap: true }),
  },
  { bundler: 'Rollup', format: 'CommonJS', how: '', entry: 'main.cjs', run: (build) => withRollup(build, cjs) },
  {
    bundler: 'Rolldown',
    format: 'ESM',
    how: 'minified, source maps',
    entry: 'main.mjs',
    run: (build) => withRolldown(build, { ...es, minify: true, sourcemap: true }),
  },
  { bundler: 'Rolldown', format: 'CommonJS', how: '', entry: 'main.cjs', run: (build) => withRolldown(build, cjs) },
  {
    bundler: 'webpack',
    format: 'ESM',
    how: 'minified, source maps',
    entry: 'main.mjs',
    run: (build) => withWebpack(build, { ...packEs, ...outputModule, devtool: 'source-map' }),
  },
  {
    bundler: 'webpack',
    format: 'CommonJS',
    how: 'nested entry, `publicPath`, eval source maps',
    entry: 'nested/main.cjs',
    run: (build) => withWebpack(build, { ...packCjs, devtool: 'eval-source-map' }),
  },
  {
    bundler: 'webpack',
    format: 'CommonJS',
    how: 'second build from the filesystem cache',
    entry: 'nested/main.cjs',
    run: (build) =>
      twice(() =>
        withWebpack(build, {
          ...packCjs,
          cache: { type: 'filesystem', cacheDirectory: join(build.root, 'node_modules/.cache/webpack') },
        }),
      ),
  },
  {
    bundler: 'Rspack 2',
    format: 'ESM',
    how: 'minified, source maps',
    entry: 'main.mjs',
    run: (build) => withRspack(build, { ...packEs, devtool: 'source-map' }),
  },
  {
    bundler: 'Rspack 2',
    format: 'CommonJS',
    how: 'nested entry, `publicPath`, eval source maps',
    entry: 'nested/main.cjs',
    run: (build) => withRspack(build, { ...packCjs, mode: 'development', devtool: 'eval-source-map' }),
  },
  {
    bundler: 'Rspack 2',
    format: 'CommonJS',
    how: 'second build from the filesystem cache',
    entry: 'nested/main.cjs',
    run: (build) => twice(() => withRspack(build, { ...packCjs, cache: persistent(build, 'rspack2') })),
  },
  {
    bundler: 'Rspack 1',
    format: 'ESM',
    how: 'minified',
    entry: 'main.mjs',
    run: (build) => withRspack(build, { ...packEs, ...(outputModule as object) }, rspack1 as unknown as typeof rspack2),
  },
  {
    bundler: 'Rspack 1',
    format: 'CommonJS',
    how: 'second build from the filesystem cache',
    entry: 'nested/main.cjs',
    run: (build) =>
      twice(() =>
        withRspack(
          build,
          { ...packCjs, cache: true, ...({ experiments: { cache: persistent(build, 'rspack1') } } as object) },
          rspack1 as unknown as typeof rspack2,
        ),
      ),
  },
  {
    bundler: 'Rspack 1',
    format: 'CommonJS',
    how: 'nested entry, `publicPath`',
    entry: 'nested/main.cjs',
    run: (build) => withRspack(build, packCjs, rspack1 as unknown as typeof rspack2),
  },
  {
    bundler: 'esbuild',
    format: 'ESM',
    how: 'nested entry, splitting, minified, source maps',
    entry: 'nested/main.mjs',
    run: (build) =>
      withEsbuild(build, {
        format: 'esm',
        entryPoints: { 'nested/main': join(build.root, build.source ?? 'src/main.js') },
        splitting: true,
        chunkNames: 'chunks/deep/[name]-[hash]',
        minify: true,
        sourcemap: true,
        outExtension: { '.js': '.mjs' },
      }),
  },
  {
    bundler: 'esbuild',
    format: 'CommonJS',
    how: '`outfile`',
    entry: 'main.cjs',
    run: (build) =>
      withEsbuild(build, { outdir: undefined, outfile: join(build.dir, 'main.cjs'), entryPoints: [input(build).main] }),
  },
  {
    bundler: 'esbuild',
    format: 'ESM',
    how: '`publicPath`',
    entry: 'main.mjs',
    run: (build) =>
      withEsbuild(build, { format: 'esm', publicPath: 'https://cdn.example/x', outExtension: { '.js': '.mjs' } }),
  },
  {
    bundler: 'Farm',
    format: 'ESM',
    how: 'minified, source maps',
    entry: 'main.mjs',
    run: (build) => withFarm(build, { format: 'esm', entryFilename: '[entryName].mjs' }),
  },
  {
    bundler: 'Farm',
    format: 'CommonJS',
    how: 'minified, source maps',
    entry: 'main.cjs',
    run: (build) => withFarm(build, { format: 'cjs', entryFilename: '[entryName].cjs' }),
  },
  ...(bunBinary()
    ? [
        {
          bundler: 'Bun',
          format: 'ESM',
          how: 'nested entry, splitting, minified, source maps',
          entry: 'nested/main.mjs',
          run: (build: Build) =>
            withBun(build, {
              format: 'esm',
              splitting: true,
              minify: true,
              sourcemap: 'linked',
              naming: { entry: 'nested/main.mjs', chunk: 'chunks/deep/[name]-[hash].mjs' },
            }),
        } as const,
      ]
    : []),
]

/** Bundlers that build again by themselves. Each resolves to what stops it. */
export const watchers: Readonly<Record<string, (build: Build) => Promise<() => unknown>>> = {
  async 'Vite 8'(build) {
    const plugins = [onnxForVite(build.options)]
    const watcher = await buildVite({
      root: build.root,
      configFile: false,
      logLevel: 'silent',
      plugins,
      build: {
        outDir: build.dir,
        emptyOutDir: false,
        ssr: true,
        watch: {},
        rolldownOptions: { input: input(build), output: es },
      },
    })
    return () => ('close' in watcher ? watcher.close() : undefined)
  },
  async Rollup(build) {
    const watcher = watchRollup({
      input: input(build),
      plugins: [onnxForRollup({ ...build.options, root: build.root })],
      output: { ...es, dir: build.dir },
      onLog: () => {},
    })
    return () => watcher.close()
  },
  async Rolldown(build) {
    const watcher = watchRolldown({
      input: input(build),
      plugins: [onnxForRolldown({ ...build.options, root: build.root })],
      output: { ...es, dir: build.dir },
      onLog: () => {},
    })
    return () => watcher.close()
  },
  async webpack(build) {
    const watching = webpack(webpackOptions(build, { ...packEs, ...outputModule })).watch({}, () => {})
    return () => new Promise((done) => watching?.close(done) ?? done(undefined))
  },
  'Rspack 2': (build) => watchRspack(build, rspack2),
  'Rspack 1': (build) => watchRspack(build, rspack1 as unknown as typeof rspack2),
  async esbuild(build) {
    const context = await contextOfEsbuild(esbuildOptions(build, { format: 'esm', outExtension: { '.js': '.mjs' } }))
    await context.watch()
    return () => context.dispose()
  },
}

async function watchRspack(build: Build, rspack: typeof rspack2): Promise<() => Promise<void>> {
  const watching = rspack(
    rspackOptions(build, { ...packEs, ...(rspack === rspack2 ? {} : (outputModule as object)) }),
  ).watch({}, () => {})
  return () => new Promise((done) => watching.close(() => done()))
}

/** Runs Bun's bundler, which exists only inside Bun, and rejects with what it said. */
export async function withBun(
  { root, dir, source = 'src/main.js', options, lines }: Build,
  settings: object,
): Promise<void> {
  const build = { entrypoints: [join(root, source)], outdir: dir, target: 'node', ...settings }
  await runScript(
    root,
    bunBinary() ?? 'bun',
    `
import onnx from 'unplugin-onnx/bun'
try {
  await Bun.build({ ...${JSON.stringify(build)}, plugins: [onnx(${JSON.stringify({ ...options, root })})] })
} catch (error) {
  console.error(error.errors?.map(({ message }) => message).join('\\n') ?? error)
  process.exit(1)
}`,
    lines,
  )
}

/** Runs Farm in a process of its own, because a failed build exits. */
export async function withFarm(
  { root, dir, source = 'src/main.js', options }: Build,
  output: object,
  external: readonly string[] = [],
): Promise<void> {
  const compilation = {
    input: { main: `./${source}` },
    output: { path: dir, targetEnv: 'node', ...output },
    resolve: { alias: { '@': join(root, 'src') } },
    external,
    minify: true,
    sourcemap: true,
    presetEnv: false,
    persistentCache: false,
    progress: false,
  }
  await runScript(
    root,
    process.execPath,
    `
import { build } from '@farmfe/core'
import onnx from 'unplugin-onnx/farm'
await build({
  root: ${JSON.stringify(root)},
  clearScreen: false,
  compilation: ${JSON.stringify(compilation)},
  plugins: [onnx(${JSON.stringify(options)})],
})`,
  )
}

async function runScript(root: string, binary: string, text: string, lines: string[] = []): Promise<void> {
  const file = join(root, `build-${randomUUID()}.mjs`)
  writeFileSync(file, text)
  try {
    lines.push((await promisify(execFile)(binary, [file], { cwd: root })).stderr)
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    // Farm quotes messages.
    throw new Error(stripVTControlCharacters(stdout + stderr).replaceAll('\\n', '\n'), { cause: error })
  } finally {
    rmSync(file)
  }
}

export async function withVite(
  { root, dir, options, lines = [] }: Build,
  build: ViteOptions,
  vite: typeof buildVite = buildVite,
  { resolve, plugins = [], ...config }: InlineConfig = {},
): Promise<void> {
  await vite({
    root,
    configFile: false,
    logLevel: 'warn',
    customLogger: viteLogger(lines),
    ...config,
    resolve: { alias: { '@': join(root, 'src') }, ...resolve },
    plugins: [onnxForVite(options), ...plugins],
    build: { outDir: dir, emptyOutDir: false, ...build },
  })
}

export function viteLogger(lines: string[]): ReturnType<typeof createLogger> {
  const keep = (line: string) => void lines.push(line)
  return { ...createLogger('silent'), info: keep, warn: keep, warnOnce: keep }
}

export async function withRollup(build: Build, output: RollupOutput, external: string[] = []): Promise<void> {
  const { root, dir, options, lines = [] } = build
  const alias: Plugin = {
    name: 'alias',
    resolveId(id, importer) {
      if (id.startsWith('@/')) return this.resolve(join(root, 'src', id.slice(1)), importer)
      // As @rollup/plugin-node-resolve does.
      return appPackages.includes(id) && !external.includes(id)
        ? realpathSync(join(root, 'node_modules', id, 'index.js'))
        : null
    },
  }
  const bundle = await rollup({
    input: input(build),
    plugins: [onnxForRollup({ ...options, root }), alias],
    external,
    onLog: (_, { message }) => void lines.push(message),
  })
  await bundle.write(output.file ? output : { dir, ...output })
}

/** A build of Rolldown that writes nothing. */
export async function inMemory(build: Build, plugins: readonly RolldownPlugin[] = []): Promise<RolldownBuild> {
  const bundle = await rolldown({
    input: input(build),
    plugins: [onnxForRolldown({ ...build.options, root: build.root }), ...plugins],
    onLog: () => {},
  })
  const result = await bundle.generate({})
  await bundle.close()
  return result
}

export async function withRolldown(build: Build, output: RolldownOutput, external: string[] = []): Promise<void> {
  const { root, dir, options, lines = [] } = build
  const plugins = [onnxForRolldown({ ...options, root })]
  const bundle = await rolldown({
    input: input(build),
    resolve: { alias: { '@': join(root, 'src') } },
    plugins,
    external,
    onLog: (_, { message }) => void lines.push(message),
  })
  await bundle.write({ dir, ...output })
  await bundle.close()
}

export async function withWebpack(build: Build, settings: WebpackOptions): Promise<void> {
  const compiler = webpack(webpackOptions(build, settings))
  const outcome = await new Promise<Outcome>((done) =>
    compiler.run((error, stats) => compiler.close(() => done({ error, stats }))),
  )
  check(build, outcome)
}

export async function withRspack(
  build: Build,
  settings: RspackOptions,
  rspack: typeof rspack2 = rspack2,
): Promise<void> {
  const compiler = rspack(rspackOptions(build, settings))
  const outcome = await new Promise<Outcome>((done) =>
    compiler.run((error, stats) => compiler.close(() => done({ error, stats }))),
  )
  check(build, outcome)
}

export async function withEsbuild(build: Build, settings: EsbuildOptions): Promise<EsbuildResult> {
  const result = await buildEsbuild(esbuildOptions(build, settings))
  build.lines?.push(...result.warnings.map(({ text }) => text))
  return result
}

function input({ root, source = 'src/main.js' }: Build): { main: string } {
  return { main: join(root, source) }
}

function webpackOptions(build: Build, { output, ...settings }: WebpackOptions): WebpackOptions {
  return { ...packOptions(build, { ...output }), plugins: [onnxForWebpack(build.options)], ...settings }
}

function rspackOptions(build: Build, { output, ...settings }: RspackOptions): RspackOptions {
  return { ...packOptions(build, { ...output }), plugins: [onnxForRspack(build.options)], ...settings }
}

// What webpack and Rspack share.
function packOptions(
  build: Build,
  output: object,
): Pick<
  WebpackOptions & RspackOptions,
  'mode' | 'context' | 'target' | 'entry' | 'resolve' | 'infrastructureLogging' | 'output'
> {
  return {
    mode: 'production',
    context: build.root,
    target: 'node',
    entry: input(build),
    resolve: { alias: { '@': join(build.root, 'src') } },
    infrastructureLogging: { level: 'none' },
    output: { ...output, path: build.dir },
  }
}

function esbuildOptions(build: Build, settings: EsbuildOptions): EsbuildOptions {
  return {
    absWorkingDir: build.root,
    entryPoints: input(build),
    bundle: true,
    platform: 'node',
    outdir: build.dir,
    alias: { '@': join(build.root, 'src') },
    logLevel: 'silent',
    plugins: [onnxForEsbuild(build.options)],
    ...settings,
  }
}

interface Stats {
  hasErrors(): boolean
  toString(options: { all: false; errors?: true; warnings?: true }): string
}

interface Outcome {
  readonly error: Error | null | undefined
  readonly stats: Stats | undefined
}

function check({ lines = [] }: Build, { error, stats }: Outcome): void {
  lines.push(stats?.toString({ all: false, warnings: true }) ?? '')
  if (error) throw error
  if (stats?.hasErrors()) throw new Error(stats.toString({ all: false, errors: true }))
}

export function persistent(
  { root }: Build,
  name: string,
): { type: 'persistent'; storage: { type: 'filesystem'; directory: string } } {
  return { type: 'persistent', storage: { type: 'filesystem', directory: join(root, 'node_modules/.cache', name) } }
}

async function twice(build: () => Promise<unknown>): Promise<void> {
  await build()
  await build()
}
