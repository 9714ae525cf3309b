import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { rolldown, watch as watchRolldown } from 'rolldown'
import { rollup, watch as watchRollup, type OutputOptions, type Plugin } from 'rollup'
import type { Options } from 'unplugin-onnx'
import onnxForRolldown from 'unplugin-onnx/rolldown'
import onnxForRollup from 'unplugin-onnx/rollup'
import onnxForVite from 'unplugin-onnx/vite'
import { build as buildVite, createLogger, createServer, isRunnableDevEnvironment, type BuildOptions, type ViteDevServer } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, expectedResults, install, runOutput, writeApp, writeFiles, writeSmallApp, writeWeight } from './app.ts'
import { affineModel } from './models.ts'
import { tempFolder } from './helpers.ts'

const app = tempFolder()
const output = tempFolder()
const lines: string[] = []

// One engine for each model, so that they can be counted.
const options: Options = { onnxruntime: { portable: false } }
const es = { entryFileNames: '[name].mjs', chunkFileNames: 'chunks/deep/[name]-[hash].mjs' }
const cjs = { entryFileNames: '[name].cjs', chunkFileNames: 'chunks/deep/[name]-[hash].cjs' }

interface Case {
  readonly name: string
  readonly entry: string
  /** Builds `entry` of a folder into another. */
  build(root: string, dir: string): Promise<unknown>
}

const cases: readonly Case[] = [
  { name: 'Rollup, ESM', entry: 'main.mjs', build: (root, dir) => withRollup(root, { ...es, dir, format: 'es', sourcemap: true }) },
  { name: 'Rollup, CJS', entry: 'main.cjs', build: (root, dir) => withRollup(root, { ...cjs, dir, format: 'cjs' }) },
  { name: 'Rolldown, ESM, minified', entry: 'main.mjs', build: (root, dir) => withRolldown(root, { ...es, dir, format: 'es', minify: true, sourcemap: true }) },
  { name: 'Rolldown, CJS', entry: 'main.cjs', build: (root, dir) => withRolldown(root, { ...cjs, dir, format: 'cjs' }) },
  { name: 'Vite, server, ESM', entry: 'main.js', build: (root, outDir) => withVite(root, { outDir, ssr: 'src/main.js' }) },
  { name: 'Vite, server, CJS', entry: 'main.cjs', build: (root, outDir) => withVite(root, { outDir, ssr: 'src/main.js', rolldownOptions: { output: { ...cjs, format: 'cjs' } } }) },
  { name: 'Vite, library, ESM', entry: 'main.js', build: (root, outDir) => withVite(root, { outDir, lib: { entry: 'src/main.js', formats: ['es'], fileName: 'main' } }) },
  { name: 'Vite, library, CJS', entry: 'main.cjs', build: (root, outDir) => withVite(root, { outDir, lib: { entry: 'src/main.js', formats: ['cjs'], fileName: 'main' } }) },
  { name: 'Vite, client', entry: 'main.mjs', build: (root, outDir) => withVite(root, { outDir, rolldownOptions: { input: join(root, 'src/main.js'), output: es } }) },
]

let expected: Awaited<ReturnType<typeof expectedResults>>

beforeAll(async () => {
  writeApp(app)
  install(output, ['unplugin-onnx'])
  expected = await expectedResults()
})

describe.each(cases)('$name', ({ name, build, entry }) => {
  const dir = join(output, name)

  test('a bundle runs in another folder, and every import gives its own model\'s numbers', async () => {
    await build(app, dir)
    expect(await runOutput(join(dir, entry))).toEqual(expected)
  })

  test('a bundle has one engine for each model, the runtime outside, and no path of the build machine', () => {
    const emitted = readdirSync(join(dir, 'assets')).filter((file) => file.endsWith('.ort'))
    expect(emitted.map((file) => file.replace(/-onnxruntime-[0-9a-f]{10}\.ort$/, '')).sort()).toEqual(engines)
    const code = filesOf(dir, /\.[cm]?js$/)
    expect(code).toMatch(/(?:from|require\()\s*["'`]unplugin-onnx\/runtime["'`]/)
    expect(code).not.toContain(app)
  })
})

test('a build with a warm cache and one with a cold cache write the same bytes', async () => {
  const [cold, warm] = [join(output, 'cold'), join(output, 'warm')]
  const cache = { dir: join(output, 'cache') }
  await withRollup(app, { ...es, dir: cold, format: 'es' }, { cache })
  await withRollup(app, { ...es, dir: warm, format: 'es' }, { cache })
  expect(digestOf(warm)).toEqual(digestOf(cold))
})

test('a build says in one line what became of each engine', async () => {
  lines.length = 0
  await withVite(app, { outDir: join(output, 'log'), ssr: 'src/lazy.js' })
  expect(lines.filter((line) => /(?:triple|%20 ü) .*onnxruntime .*(?:hit|miss)/.test(line))).toHaveLength(2)
})

test('a build declares each import under the text that the app has, unless types are switched off', async () => {
  const typed = join(app, '.unplugin-onnx')
  rmSync(typed, { recursive: true, force: true })
  await withVite(app, { outDir: join(output, 'types'), ssr: 'src/main.js' }, { types: false })
  expect(existsSync(typed)).toBe(false)
  await withVite(app, { outDir: join(output, 'types'), ssr: 'src/main.js' })
  const declared = filesOf(typed, /\.ts$/)
  for (const text of ['@/nested/triple.onnx?engine=fp32', '#models/quadruple.onnx?engine=fp32', 'hiding/models/five.onnx?engine=fp32', 'linked/six.onnx']) {
    expect(declared).toContain(`declare module "${text}"`)
  }
  expect(readdirSync(join(typed, 'types/src')).sort()).toContain('double.d.onnx.ts')
})

test('a model whose import is not used is not in the bundle', async () => {
  writeFiles(app, { 'src/unused.js': `import model from './double.onnx'\nimport other from './nested/triple.onnx'\nother.infer` })
  await withRollup(app, { ...es, dir: join(output, 'unused'), format: 'es' }, {}, 'src/unused.js')
  expect(readdirSync(join(output, 'unused/assets')).join()).toMatch(/^triple-[^,]*$/)
})

test('Vite itself answers ?url and ?raw', async () => {
  writeFiles(app, { 'src/assets.js': `import url from './double.onnx?url'\nimport raw from './double.onnx?raw'\nconsole.log(JSON.stringify([url, raw.length > 100]))` })
  await withVite(app, { outDir: join(output, 'assets'), ssr: 'src/assets.js', assetsInlineLimit: 0 })
  expect(await runOutput(join(output, 'assets/assets.js'))).toEqual([expect.stringMatching(/^\/assets\/double-.*\.onnx$/), true])
})

test('a build for browsers warns once that models run in Node.js', async () => {
  lines.length = 0
  await withVite(app, { outDir: join(output, 'browser'), rolldownOptions: { input: join(app, 'src/main.js') } })
  expect(lines.filter((line) => line.includes('models run in Node.js'))).toHaveLength(1)
})

describe.each([
  ['Rollup', (dir: string) => withRollup(app, { dir, format: 'es' }, {}, 'src/template.js')],
  ['Rolldown', (dir: string) => withRolldown(app, { dir, format: 'es' }, {}, 'src/template.js')],
])('%s', (name, build) => {
  test('an import whose model is known only at run time is warned of', async () => {
    writeFiles(app, { 'src/template.js': 'export const load = (name) => import(`./${name}.onnx?engine=fp32`)' })
    lines.length = 0
    await build(join(output, `${name} template`))
    expect(lines.join('\n')).toMatch(/import\(`\.\/\$\{name\}\.onnx\?engine=fp32`\) is not bundled, because its model is known only at run time/)
  })
})

test('Vite bundles every model that an import with a variable can mean', async () => {
  writeFiles(app, { 'src/glob.js': 'const { default: model } = await import(`./nested/${process.argv[2] ?? "triple"}.onnx?engine=fp32`)\nconsole.log(JSON.stringify(model.bindings.inputs[0].name))' })
  await withVite(app, { outDir: join(output, 'glob'), ssr: 'src/glob.js' })
  expect(await runOutput(join(output, 'glob/glob.js'))).toBe('x')
})

const failures = {
  'a file that is not there': { text: './duoble.onnx', code: 'MODEL_NOT_FOUND', message: /src\/bad\.js: expected a model file, received nothing at src\/duoble\.onnx\. Did you mean '\.\/double\.onnx'\?/ },
  'a package that is not there': { text: 'nothing/there.onnx?engine', code: 'MODEL_NOT_FOUND', message: /import 'nothing\/there\.onnx' in src\/bad\.js: .* install the package/ },
  'a file that is not a model': { text: './broken.onnx', code: 'MODEL_INVALID', message: /broken.*\n {2}imported by src\/bad\.js/s },
  'an unknown key': { text: './double.onnx?engin=fp16', code: 'QUERY_INVALID', message: /'\.\/double\.onnx\?engin=fp16': engin: .* Did you mean 'engine'\?\n {2}imported by src\/bad\.js/ },
}

describe.each([
  ['Rollup', () => withRollup(app, { dir: join(output, 'bad') }, {}, 'src/bad.js')],
  ['Rolldown', () => withRolldown(app, { dir: join(output, 'bad') }, {}, 'src/bad.js')],
  ['Vite', () => withVite(app, { outDir: join(output, 'bad'), ssr: 'src/bad.js' })],
])('%s', (_, build) => {
  test.each(Object.entries(failures))('%s stops the build with a message that names the importer', async (_, { text, code, message }) => {
    writeFiles(app, { 'src/broken.onnx': 'not a model', 'src/bad.js': `import model from '${text}'\nconsole.log(model)` })
    const error = await build().then(() => expect.unreachable(), (error: Failure) => error)
    rmSync(join(app, 'src/broken.onnx'))
    expect(error.message).toMatch(message)
    expect(error.pluginCode ?? error.errors?.[0]?.pluginCode).toBe(code)
    expect(error.message).not.toContain('node_modules/')
  })
})

describe.each(['iife', 'umd'] as const)('%s', (format) => {
  test('a format that Node.js does not load stops the build', async () => {
    await expect(withRollup(app, { file: join(output, 'bad.js'), format, name: 'app' }, {}, 'src/unused.js')).rejects.toThrow(`received '${format}'`)
  })
})

interface Failure extends Error {
  readonly pluginCode?: string
  readonly errors?: readonly { readonly pluginCode?: string }[]
}

describe('Vite, dev server', () => {
  const root = tempFolder()
  const runners = {
    ssrLoadModule: (server: ViteDevServer) => server.ssrLoadModule('/src/main.js'),
    'runnable environment': (server: ViteDevServer) => {
      const { ssr } = server.environments
      return isRunnableDevEnvironment(ssr) ? ssr.runner.import('/src/main.js') : expect.unreachable()
    },
  }
  let server: ViteDevServer

  beforeAll(async () => {
    install(root, ['unplugin-onnx'])
    server = await createServer({ root, configFile: false, customLogger: quiet(), appType: 'custom', server: { middlewareMode: true, ws: false }, plugins: [onnxForVite(options)] })
  })
  afterAll(() => server.close())

  test.each(Object.entries(runners))('%s runs a model, and again after its external data or the model itself has changed', async (_, load) => {
    const run = async () => ((await load(server)) as { main(): Promise<number[]> }).main()
    writeSmallApp(root, 2)
    await expect.poll(run, { timeout: 20_000 }).toEqual([2, 4, 6, 8])
    writeWeight(root, 10)
    await expect.poll(run, { timeout: 20_000 }).toEqual([10, 20, 30, 40])
    writeFiles(root, { 'src/model.onnx': affineModel({ weight: 3, dims: 'n,4' }) })
    await expect.poll(run, { timeout: 20_000 }).toEqual([4, 7, 10, 13])
    await expect.poll(() => filesOf(join(root, '.unplugin-onnx/types'), /\.ts$/), { timeout: 20_000 }).toContain('x: "float32[n,4]"')
  })
})

describe.each([
  ['Rollup', (root: string, dir: string) => watchRollup({ input: join(root, 'src/main.js'), plugins: [onnxForRollup({ ...options, root })], output: { dir }, onLog: record })],
  ['Rolldown', (root: string, dir: string) => watchRolldown({ input: join(root, 'src/main.js'), plugins: [onnxForRolldown({ ...options, root })], output: { dir }, onLog: record })],
])('%s, watching', (name, watch) => {
  const root = tempFolder()

  test('a bundle is written again after external data or the model itself has changed', async () => {
    install(root, ['unplugin-onnx'])
    writeSmallApp(root, 2)
    const dir = join(output, `${name} watch`)
    const watcher = watch(root, dir)
    const run = () => runOutput(join(dir, 'main.js')).catch(() => undefined)
    try {
      await expect.poll(run, { timeout: 20_000 }).toEqual([2, 4, 6, 8])
      writeWeight(root, 10)
      await expect.poll(run, { timeout: 20_000 }).toEqual([10, 20, 30, 40])
      writeFiles(root, { 'src/model.onnx': affineModel({ weight: 3, dims: 'n,4' }) })
      await expect.poll(run, { timeout: 20_000 }).toEqual([4, 7, 10, 13])
      await expect.poll(() => filesOf(join(root, '.unplugin-onnx/types'), /\.ts$/), { timeout: 20_000 }).toContain('x: "float32[n,4]"')
    } finally {
      await watcher.close()
    }
  })
})

test('a test of Vitest imports a model', async () => {
  writeFiles(app, {
    'vitest.config.js': `import onnx from 'unplugin-onnx/vite'\nexport default { plugins: [onnx()] }`,
    'src/double.test.js': `
import { expect, test } from 'vitest'
import model from './double.onnx?engine=fp32'
test('it runs', async () => {
  const { y } = await model.infer({ x: { data: new Float32Array([1, 2, 3, 4]), dims: [1, 4] } })
  expect([...y.data]).toEqual([3, 5, 7, 9])
})`,
  })
  const { stdout } = await promisify(execFile)(process.execPath, [join(app, 'node_modules/vitest/vitest.mjs'), 'run', '--root', app])
  expect(stdout).toMatch(/Tests .*1 passed/)
})

test('modules that import no model never reach the plugin', async () => {
  const plugin = onnxForRolldown(options) as Readonly<Record<'resolveId' | 'load', { readonly filter: { readonly id: RegExp } }>>
  for (const hook of [plugin.resolveId, plugin.load]) {
    for (const id of ['./onnx.js', '/app/pose.onnx.js', 'unplugin-onnx/runtime/x', 'vite', '\0virtual']) expect(id).not.toMatch(hook.filter.id)
    for (const id of ['./pose.onnx', 'pkg/pose.onnx?engine=fp16', 'C:/app/pose.onnx']) expect(id).toMatch(hook.filter.id)
  }
})

async function withRollup(root: string, output: OutputOptions, extra: Options = {}, entry = 'src/main.js'): Promise<void> {
  const aliases: Plugin = { name: 'alias', resolveId(id, importer) { return id.startsWith('@/') ? this.resolve(join(root, 'src', id.slice(1)), importer) : null } }
  const bundle = await rollup({ input: join(root, entry), plugins: [onnxForRollup({ ...options, ...extra, root }), aliases], onLog: record })
  await bundle.write(output)
}

async function withRolldown(root: string, output: Parameters<Awaited<ReturnType<typeof rolldown>>['write']>[0], extra: Options = {}, entry = 'src/main.js'): Promise<void> {
  const bundle = await rolldown({ input: join(root, entry), resolve: { alias: { '@': join(root, 'src') } }, plugins: [onnxForRolldown({ ...options, ...extra, root })], onLog: record })
  await bundle.write(output)
  await bundle.close()
}

async function withVite(root: string, build: BuildOptions, extra: Options = {}): Promise<void> {
  const alias = { '@': join(root, 'src') }
  await buildVite({ root, configFile: false, logLevel: 'warn', customLogger: quiet(), resolve: { alias }, plugins: [onnxForVite({ ...options, ...extra })], build: { emptyOutDir: false, ...build } })
}

function quiet(): ReturnType<typeof createLogger> {
  return { ...createLogger('silent'), info: keep, warn: keep, warnOnce: keep }
}

function keep(line: string): void {
  lines.push(line)
}

function record(_: string, { message }: { readonly message: string }): void {
  keep(message)
}

function filesOf(dir: string, names: RegExp): string {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((file) => names.test(file)).map((file) => readFileSync(join(dir, file), 'utf8')).join('\n')
}

function digestOf(dir: string): Readonly<Record<string, string>> {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map(({ name, parentPath }) => join(parentPath, name))
  return Object.fromEntries(files.map((file) => [file.slice(dir.length), readFileSync(file, 'base64')]))
}
