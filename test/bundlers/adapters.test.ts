import { describe, expect, test } from 'vitest'
import type { AdapterFactory, BundlerAdapter, BundlerName } from '../../plugin/bundler/adapter.ts'
import { adapters } from '../../plugin/bundler/adapters.ts'
import { userFilters, webRuntimeFile } from '../../plugin/bundler/context.ts'
import { isOwnQuestion, modelResolver, ownQuestion } from '../../plugin/bundler/resolver.ts'
import { checkTarget } from '../../plugin/bundler/target.ts'
import { warnOfTemplate } from '../../plugin/bundler/template-imports.ts'
import { openProject } from '../../plugin/project/project.ts'

const adapterOf = (name: BundlerName): BundlerAdapter => (adapters[name] satisfies AdapterFactory)(openProject({}))

/** The context of a hook that unplugin translates for a bundler. */
function hookContext(framework: BundlerName, native: object): object {
  return { getNativeBuildContext: () => ({ framework, ...native }) }
}

function webpackContext(framework: BundlerName, options: object): object {
  return hookContext(framework, { compiler: { options: { externalsPresets: {}, ...options } } })
}

const esbuildContext = (initialOptions: object) => hookContext('esbuild', { build: { initialOptions } })
const bunContext = (config: object) => hookContext('bun', { build: { config } })

describe('a build that cannot run models is refused:', () => {
  test.each<[string, BundlerName, object, RegExp]>([
    [
      'webpack for NW.js',
      'webpack',
      webpackContext('webpack', { target: 'nwjs' }),
      /the option 'target' of webpack: .* received "nwjs"/,
    ],
    [
      'Rspack without presets',
      'rspack',
      webpackContext('rspack', {}),
      /the option 'target' of rspack: .* received "web"/,
    ],
    [
      'webpack for a preload script of Electron',
      'webpack',
      webpackContext('webpack', { externalsPresets: { electronPreload: true, node: true } }),
      /code of a preload script of Electron/,
    ],
    ['esbuild for no platform', 'esbuild', esbuildContext({ platform: 'neutral' }), /'platform' of esbuild.*'neutral'/],
    [
      'esbuild without an output',
      'esbuild',
      esbuildContext({ platform: 'node' }),
      /the options of esbuild: expected 'outdir' or 'outfile', received neither/,
    ],
    ['Bun without a target', 'bun', bunContext({}), /'target' of Bun.*'browser'/],
    ['Bun for CommonJS', 'bun', bunContext({ target: 'node', format: 'cjs' }), /'format' of Bun: expected 'esm'/],
    ['Farm without a target', 'farm', {}, /'output\.targetEnv' of Farm: expected 'node', received 'browser'/],
  ])('%s', (_, name, context, message) => {
    const refusal = adapterOf(name).refusal(context)
    expect(() => checkTarget('/app/pose.onnx', refusal)).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_TARGET', message: expect.stringMatching(message) }),
    )
    expect(() => checkTarget('/app/pose.onnx', refusal)).toThrow(/^import of pose\.onnx: /)
  })
})

describe('a build for Node.js is accepted:', () => {
  test.each<[string, BundlerName, object]>([
    ['webpack', 'webpack', webpackContext('webpack', { externalsPresets: { node: true } })],
    ['Rspack', 'rspack', webpackContext('rspack', { externalsPresets: { node: true } })],
    [
      'Rspack for Node.js without its preset, as in Nest',
      'rspack',
      webpackContext('rspack', { target: 'node', externalsPresets: { node: false } }),
    ],
    ['esbuild into a folder', 'esbuild', esbuildContext({ platform: 'node', outdir: 'dist' })],
    ['esbuild into a file', 'esbuild', esbuildContext({ platform: 'node', outfile: 'a.js' })],
    ['Bun for Node.js', 'bun', bunContext({ target: 'node' })],
    ['Bun for Bun', 'bun', bunContext({ target: 'bun', format: 'esm' })],
    ['Rollup, which has no target', 'rollup', {}],
    ['Vite 5 and Vitest without environments', 'vite', {}],
  ])('%s', (_, name, context) => {
    expect(adapterOf(name).refusal(context)).toBeUndefined()
    expect(adapterOf(name).side(context)).toBe('node')
  })
})

describe('a build for browsers is recognised:', () => {
  test.each<[string, BundlerName, object]>([
    ['webpack', 'webpack', webpackContext('webpack', { externalsPresets: { web: true } })],
    [
      'webpack for a window of Electron',
      'webpack',
      webpackContext('webpack', { externalsPresets: { electronRenderer: true, node: true, web: true } }),
    ],
    ['Rspack', 'rspack', webpackContext('rspack', { externalsPresets: { web: true } })],
    ['esbuild without a platform', 'esbuild', esbuildContext({ outdir: 'dist' })],
  ])('%s', (_, name, context) => {
    expect(adapterOf(name).refusal(context)).toBeUndefined()
    expect(adapterOf(name).side(context)).toBe('browser')
  })

  test.each(['bun', 'farm'] as const)("%s, which makes none, refuses the option 'platform'", (name) => {
    const adapter = adapters[name](openProject({ platform: 'browser' }))
    const context = bunContext({ target: 'node' })
    expect(() => checkTarget('/app/pose.onnx', adapter.refusal(context))).toThrow(/'platform': expected 'node'/)
  })
})

describe('an environment of Vite', () => {
  const environment = { name: 'x', consumer: 'server', conditions: [] as string[], lib: false, plugins: [] as string[] }

  test.each<[string, Partial<typeof environment>, 'node' | 'browser', string]>([
    ['of a server is accepted', {}, 'node', ''],
    ['of a client is for browsers', { consumer: 'client' }, 'browser', ''],
    ['of a client with the condition node is for Node.js', { consumer: 'client', conditions: ['node'] }, 'node', ''],
    ['of a library is for Node.js', { consumer: 'client', lib: true }, 'node', ''],
    [
      'of an edge runtime is refused',
      { conditions: ['workerd'] },
      'node',
      "the environment 'x' of Vite: 'workerd', of a runtime that loads no native code",
    ],
    ['of Vitest is for Node.js', { consumer: 'client', plugins: ['vitest'] }, 'node', ''],
    [
      "of Vitest's browser mode is for browsers",
      { consumer: 'client', plugins: ['vitest', 'vitest:browser'] },
      'browser',
      '',
    ],
    [
      'of a window in electron-vite is for browsers',
      { plugins: ['vite:electron-renderer-preset-config'] },
      'browser',
      '',
    ],
    [
      'of a preload script in electron-vite is refused',
      { plugins: ['vite:electron-preload-preset-config'] },
      'node',
      'code of a preload script of Electron, where models cannot run',
    ],
  ])('%s', (_, change, side, message) => {
    const { name, consumer, conditions, lib, plugins } = { ...environment, ...change }
    const adapter = adapterOf('vite')
    const { configResolved } = adapter.hooks.vite as { configResolved(config: object): void }
    const logger = { info() {}, warn() {} }
    configResolved({ command: 'build', root: '/app', logger, plugins: plugins.map((plugin) => ({ name: plugin })) })
    const config = { consumer, resolve: { conditions }, build: { lib } }
    expect(adapter.side({ environment: { name, config } })).toBe(side)
    const refusal = adapter.refusal({ environment: { name, config } })
    expect([refusal?.subject, refusal?.received].filter(Boolean).join(': ')).toBe(message)
  })
})

describe('the import of the runtime', () => {
  const external = { id: 'unplugin-onnx/runtime', external: true }
  const bundled = { id: webRuntimeFile, external: false }

  test.each<[BundlerName, object | undefined, object | undefined]>([
    ['rollup', external, bundled],
    ['rolldown', external, bundled],
    ['vite', external, bundled],
    ['esbuild', external, bundled],
    ['bun', external, bundled],
    ['farm', external, bundled],
    ['webpack', undefined, bundled],
    ['rspack', undefined, bundled],
  ])('in %s is %j in Node.js and %j in a page', (name, inNode, inPage) => {
    expect(adapterOf(name).resolveRuntime('node')).toEqual(inNode)
    expect(adapterOf(name).resolveRuntime('browser')).toEqual(inPage)
  })
})

describe('the filter of imports', () => {
  const convert = {
    '.pt2': { command: ['a', '{output}'] },
    '.tar.gz': { command: ['a', '{output}'] },
    saved_model: { command: ['a', '{output}'] },
  }
  test.each([
    ['./pose.pt2?engine=fp16', true],
    ['./pose.pt2x', false],
    ['./posexpt2', false],
    ['pose.tar.gz', true],
    ['./pose.tar-gz', false],
    ['./models/saved_model?engine=fp16', true],
    ['./my_saved_model', false],
  ])('with the option convert for %s is %s', (id, passes) => {
    const { imports, models } = userFilters({ convert })
    expect(imports.test(id)).toBe(passes)
    expect(models.test(id)).toBe(passes)
  })

  test.each([
    ['./pose.onnx', true],
    ['./pose.onnx?engine=fp16', true],
    ['unplugin-onnx/runtime', true],
    ['unplugin-onnx/web', true],
    ['./pose.onnx.js', false],
    ['unplugin-onnx/runtime/other', false],
    ['./other.js', false],
  ])('for %s is %s', (id, passes) => {
    expect(userFilters({}).imports.test(id)).toBe(passes)
  })
})

test('a question to the bundler is recognised when it comes back', () => {
  expect(isOwnQuestion(ownQuestion('#models/pose.onnx'))).toBe(true)
  expect(isOwnQuestion('#models/pose.onnx?engine=fp16')).toBe(false)
})

describe("a bundler's resolver", () => {
  test.each<[string, () => Promise<string | undefined>, string | undefined]>([
    ['that gives a path is used', async () => '/m/pose.onnx', '/m/pose.onnx'],
    ['that adds a query loses it', async () => '/m/pose.onnx?v=1', '/m/pose.onnx'],
    ['that finds nothing gives nothing', async () => undefined, undefined],
    ['that rejects gives nothing', () => Promise.reject(new Error('not exported')), undefined],
  ])('%s', async (_, resolve, path) => {
    const adapter = { ...adapterOf('rollup'), resolver: () => resolve }
    expect(await modelResolver(adapter, {}, undefined)?.('pose.onnx')).toBe(path)
  })

  test('is absent in Bun', () => {
    expect(modelResolver(adapterOf('bun'), {}, undefined)).toBeUndefined()
  })
})

describe('an import with a template', () => {
  test.each([
    ['of models with a query is reported', 'import(`./${name}.onnx?engine=fp32`)', 1],
    ['after a line break is reported', 'import(\n  `./${name}.onnx?engine=fp32`)', 1],
    ['without a variable is not reported', 'import(`./pose.onnx?engine=fp32`)', 0],
    ['of other files is not reported', 'import(`./${name}.js?raw`)', 0],
    ['of models without a query is not reported', 'import(`./${name}.onnx`)', 0],
  ])('%s', (_, code, count) => {
    const lines: string[] = []
    warnOfTemplate(code, (line) => lines.push(line))
    expect(lines).toHaveLength(count)
  })
})
