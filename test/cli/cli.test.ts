import { spawn } from 'node:child_process'
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadModel } from 'unplugin-onnx/runtime'
import { beforeAll, describe, expect, it } from 'vitest'
import { cacheKey } from '../../plugin/cache/key.ts'
import { openStore } from '../../plugin/cache/store.ts'
import { precisions } from '../../runtime/manifest.ts'
import { type CommandResult, runCommand } from '../support/command.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'
import { writeProject } from '../support/typed-project.ts'

const bin = fileURLToPath(new URL('../../dist/plugin/cli.js', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/[\\/]$/, '')
const folder = tempFolder()
const engines = [...precisions, 'auto'].join(', ')
const model = join(folder, 'affine.onnx')
const build = (...more: string[]) =>
  run([
    'build',
    model,
    '--root',
    root,
    '--cache-dir',
    join(folder, 'cache'),
    ...(more.includes('--out') ? [] : ['--out', join(folder, 'out')]),
    ...more,
  ])

beforeAll(() => {
  writeFileSync(model, affineModel({ dims: 'batch,4' }))
})

describe('command line', () => {
  it.each([
    [['--version'], /^unplugin-onnx\/\d/],
    [['--help'], /inspect <file>[^]*cache <verb> \[import\]/],
    [[], /Commands:/],
    [['inspect', '--help'], /--json/],
  ])('%j is answered', async (args, text) => {
    expect(await run(args)).toEqual({ code: 0, stdout: expect.stringMatching(text), stderr: '' })
  })

  it.each([
    [['inspec', 'a.onnx'], `'inspec' is not a command. Did you mean 'inspect'?`],
    [['frobnicate'], `'frobnicate' is not a command. Run 'unplugin-onnx --help' for a list`],
    [['inspect'], 'missing required args for command `inspect <file>`'],
    [['inspect', 'a.onnx', 'b.onnx'], 'Unused args: `b.onnx`'],
    [['inspect', 'a.onnx', '--jsn'], `'--jsn' is not an option of 'inspect'. Did you mean '--json'?`],
    [
      ['cache', 'lst'],
      `unplugin-onnx cache: expected one of ls, why, verify, clean, received 'lst'. Did you mean 'ls'?`,
    ],
    [['cache', 'ls', '--cache-dir'], 'option `--cache-dir <dir>` value is missing'],
    [['cache', 'ls', '--cache-dir', 'a', '--cache-dir=b'], '--cache-dir is given twice. Give it once'],
  ])('%j is refused in one line', async (args, message) => {
    expect(await run(args)).toEqual({ code: 1, stdout: '', stderr: `${message}\n` })
  })
})

describe('build command', () => {
  it('build writes a manifest and engines that the runtime loads, and compiles nothing twice', async () => {
    const first = await build('--backend', 'onnxruntime', '--shapes', 'x:2x4')
    expect(first).toMatchObject({
      code: 0,
      stdout: `${join(folder, 'out', 'affine.json')}\n`,
      stderr: expect.stringContaining('miss: new'),
    })

    const second = await build('--backend', 'onnxruntime', '--shapes', 'x:2x4', '--json')
    const { manifest, written, bindings, variants } = JSON.parse(second.stdout) as {
      manifest: string
      written: readonly string[]
      bindings: unknown
      variants: { cache: { hit: boolean } }[]
    }
    expect(bindings).toMatchObject({ inputs: [{ name: 'x', dims: [2, 4] }] })
    expect([...written].sort()).toEqual(
      readdirSync(join(folder, 'out'))
        .map((name) => join(folder, 'out', name))
        .sort(),
    )
    expect(variants.map(({ cache }) => cache.hit)).not.toContain(false)

    const loaded = await loadModel(manifest)
    const { y } = await loaded.infer({ x: { data: new Float32Array([1, 2, 3, 4, 5, 6, 7, 8]), dims: [2, 4] } })
    await loaded.dispose()
    expect([...y!.data]).toEqual([3, 5, 7, 9, 11, 13, 15, 17])
  })

  it.each([
    [['--engine', 'fp17'], `option 'engine': expected one of ${engines}, received 'fp17'. Did you mean 'fp16'?`],
    [['--shapes', 'x:2x5'], `model 'affine': shapes.x[1]: expected 4, which is static in the model, received 5`],
    [
      ['--shapes', 'x'],
      `import 'affine.onnx?shapes=x': shapes: expected 'name:1x3x224x224' for each input, ` +
        `separated by commas, received 'x'`,
    ],
    [
      ['--shapes', 'x&engine=int8:1'],
      `model 'affine': shapes["x&engine=int8"]: expected one of the model's inputs ('x'), received no such input`,
    ],
    [['--min', 'x:1x4'], `import 'affine.onnx?min=x:1x4': min, opt, max: expected all three of them, received min`],
  ])('build %j is refused in one line and writes nothing', async (args, message) => {
    expect(await build(...args)).toEqual({ code: 1, stdout: '', stderr: `${message}\n` })
  })

  it('a file that is not a model is refused by name', async () => {
    expect(await run(['build', 'notes.txt'])).toMatchObject({
      code: 1,
      stderr:
        `'notes.txt' is not an .onnx file. ` +
        `Give the path of a model, or a rule of the option 'convert' in unplugin-onnx.config\n`,
    })
  })

  it('the engine of one variant is not explained by that of another', async () => {
    for (const shapes of ['x:5x4', 'x:6x4'])
      expect((await build('--backend', 'onnxruntime', '--shapes', shapes)).stderr).toContain('miss: new')
    writeFileSync(model, affineModel({ dims: 'batch,4', weight: 3 }))
    expect((await build('--backend', 'onnxruntime', '--shapes', 'x:5x4')).stderr).toMatch(/miss: weights changed {2}/)
    writeFileSync(model, affineModel({ dims: 'batch,4' }))
  })

  // Node's own recursive mkdir never ends below /proc.
  it.each([join(model, 'out'), ...(process.platform === 'linux' ? ['/proc/unplugin-onnx/engines'] : [])])(
    '%s that cannot be written is an error of one line',
    async (out) => {
      const { code, stderr } = await build('--out', out)
      expect(code).toBe(1)
      expect(stderr).toMatch(
        /^the output folder .*: expected a folder that can be written, with space for the engines, received .*E(NOTDIR|EXIST|NOENT)[^\n]*\n$/m,
      )
      expect(stderr).not.toContain('    at ')
    },
  )

  it.runIf(process.platform === 'linux')(
    'a cache folder that cannot be made costs a warning, not the build',
    async () => {
      const { code, stderr } = await run([
        'build',
        model,
        '--root',
        root,
        '--cache-dir',
        '/proc/unplugin-onnx',
        '--backend',
        'onnxruntime',
        '--out',
        join(folder, 'uncached'),
      ])
      expect(code).toBe(0)
      expect(stderr).toContain('the cache folder /proc/unplugin-onnx/v1 cannot be used (/proc cannot contain folders')
    },
  )
})

describe('doctor command', () => {
  it('doctor lists the backends that are installed here', async () => {
    const { code, stdout } = await run(['doctor', '--root', root])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^unplugin-onnx [\d.]+, Node\.js [\d.]+, \S+ \S+\n[^]*onnxruntime {2,}\d/)
    expect(stdout).toMatch(
      /\n {2}sessions of onnxruntime {2}(native: .*libonnxruntime|in a worker: .*could not be loaded)/,
    )
    const { backends, cache } = JSON.parse((await run(['doctor', '--root', root, '--json'])).stdout) as {
      backends: unknown[]
      cache: object
    }
    expect(backends).toContainEqual(expect.objectContaining({ name: 'onnxruntime', available: true }))
    expect(cache).toMatchObject({ dir: join(root, 'node_modules', '.cache', 'unplugin-onnx') })
  })
})

describe('types command', () => {
  const app = join(folder, 'app')

  beforeAll(() =>
    writeProject(app, {
      'pose.onnx': { inputs: { x: 'float32[n,4]' }, outputs: { y: 'float32[n,4]' } },
      'src/a.ts': "import a from '../pose.onnx'",
    }),
  )

  it('every import gets types, and the second run writes nothing', async () => {
    const dir = join(app, '.unplugin-onnx')
    expect(await run(['types', '--root', app])).toEqual({
      code: 0,
      stdout: `1 import of models typed in ${dir}: 2 files written, 0 removed\n`,
      stderr: '',
    })
    expect(await run(['types', '--root', app])).toEqual({
      code: 0,
      stdout: `1 import of models typed in ${dir}: 0 files written, 0 removed\n`,
      stderr: '',
    })
  })

  it('an import without a model fails after the others have got types', async () => {
    writeProject(app, { 'src/b.ts': "import b from './gone.onnx'" })
    const { code, stdout, stderr } = await run(['types', '--root', app, '--types-dir', 'generated', '--json'])
    expect(code).toBe(1)
    expect(stderr).toContain('src/b.ts:1')
    expect(JSON.parse(stdout)).toMatchObject({
      imports: [{ specifier: '../pose.onnx' }],
      written: ['types/pose.d.onnx.ts', 'imports.json'],
      removed: [],
      problems: [{ code: 'MODEL_NOT_FOUND' }],
    })
  })
})

describe('types --check', () => {
  const app = join(folder, 'checked')
  const dir = join(app, '.unplugin-onnx')
  const check = (...more: string[]) => run(['types', '--check', '--root', app, ...more])

  beforeAll(() =>
    writeProject(app, {
      'pose.onnx': { inputs: { x: 'float32[n,4]' }, outputs: { y: 'float32[n,4]' } },
      'src/a.ts': "import a from '../pose.onnx'",
    }),
  )

  it('stale types are named and fail the command, which touches nothing', async () => {
    expect(await check()).toEqual({
      code: 1,
      stderr: '',
      stdout:
        'missing or changed: types/pose.d.onnx.ts\nmissing or changed: imports.json\n1 import of ' +
        `models, types in ${dir}: 2 files stale. Run 'unplugin-onnx types'\n`,
    })
    expect(existsSync(dir)).toBe(false)

    await run(['types', '--root', app])
    expect(await check()).toEqual({ code: 0, stdout: `1 import of models, types in ${dir}: up to date\n`, stderr: '' })

    writeProject(app, { 'pose.onnx': { inputs: { x: 'float32[n,2]' }, outputs: { y: 'float32[n,2]' } } })
    expect(await check()).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('missing or changed: types/pose.d.onnx.ts\n'),
    })

    writeProject(app, { 'src/a.ts': 'export {}' })
    const { code, stdout } = await check('--json')
    expect({ code, ...(JSON.parse(stdout) as object) }).toMatchObject({
      code: 1,
      imports: [],
      written: [],
      removed: ['imports.json', 'types/pose.d.onnx.ts'],
    })
    expect(existsSync(join(dir, 'types/pose.d.onnx.ts'))).toBe(true)
  })
})

describe('types --watch', () => {
  it.each([['--check'], ['--json']])('a watch without %s works', async (flag) => {
    expect(await run(['types', '--watch', flag])).toEqual({
      code: 1,
      stdout: '',
      stderr: `--watch and ${flag} exclude each other. Give one of them\n`,
    })
  })

  it('a watch follows sources, models, new folders and problems until it ends', async () => {
    const app = join(folder, 'watched')
    writeProject(app, { 'src/a.ts': 'export {}' })
    const watching = spawn(process.execPath, [bin, 'types', '--watch', '--root', app], { cwd: folder })
    let output = ''
    for (const stream of [watching.stdout, watching.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    const patient = { timeout: 20_000 }
    const declared = join(app, '.unplugin-onnx/types/src/deep/b.d.onnx.ts')
    const types = () => (existsSync(declared) ? readFileSync(declared, 'utf8') : '')
    try {
      await expect.poll(() => output, patient).toContain('0 imports of models typed')
      writeProject(app, { 'src/deep/b.ts': "import b from './b.onnx'" })
      await expect.poll(() => output, patient).toMatch(/src\/deep\/b\.ts:1/)
      writeProject(app, { 'src/deep/b.onnx': wide(2) })
      await expect.poll(types, patient).toContain('float32[2]')
      writeProject(app, { 'src/deep/b.onnx': wide(3) })
      await expect.poll(types, patient).toContain('float32[3]')
      rmSync(join(app, 'src/deep'), { recursive: true })
      await expect.poll(() => output, patient).toMatch(/\n0 imports[^\n]* removed\n$/)
      expect(types()).toBe('')
    } finally {
      watching.kill()
    }
  })
})

describe('cache command', () => {
  // '007' must not become 7 on its way through the command line.
  const dir = join(folder, '007')
  const cache = (verb: string, ...more: string[]) =>
    run(['cache', verb, ...more, '--root', folder, '--cache-dir', '007'])

  beforeAll(async () => {
    const store = openStore({ dir, maxSize: Infinity, maxAge: Infinity, warn: console.warn })
    for (const name of ['pose', 'face']) {
      const request = {
        key: cacheKey({ model: name, backend: 'onnxruntime' }),
        importKey: `models/${name}.onnx  onnxruntime `,
        label: name,
      }
      await store.getOrBuild(request, async (output) => writeFileSync(output, `engine of ${name}`))
    }
  })

  it('cache ls lists the entries', async () => {
    const { stdout, code } = await cache('ls')
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^ {2}[\da-f]{12} {2}14 B {2}built in [^]*models\/face\.onnx[^]*\n2 engines, 28 B in .*007\n$/,
    )
    expect(JSON.parse((await cache('ls', '--json')).stdout)).toHaveLength(2)
  })

  it("cache explain gives the reason for an import's engine", async () => {
    const { stdout } = await cache('why', 'pose')
    expect(stdout).toMatch(/^models\/pose\.onnx .* {2}miss: new {2}/)
    expect(stdout).not.toContain('face')
    expect(JSON.parse((await cache('why', '--json')).stdout)).toHaveLength(2)
    expect(await cache('why', 'hand')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining(`has no import of 'hand'`),
    })
  })

  it('cache clean leaves what a running process was given', async () => {
    expect(await cache('clean')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^0 engines removed from .*\n2 engines kept, because running processes use/),
    })
  })

  it('cache verify finds damage, and cache clean removes everything', async () => {
    // As if the process that was given the engines had ended.
    rmSync(join(dir, 'v1', 'leases'), { recursive: true })
    expect(await cache('verify')).toMatchObject({ code: 0, stdout: expect.stringContaining('2 engines checked') })
    const [{ file }] = JSON.parse((await cache('ls', '--json')).stdout) as [{ file: string }]
    appendFileSync(file, 'x')
    expect(await cache('verify')).toMatchObject({ code: 1, stdout: expect.stringContaining('1 damaged') })
    expect(await cache('clean')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^1 engine removed from .*007, /),
    })
    expect(await cache('ls', '--json')).toMatchObject({ stdout: '[]\n' })
  })
})

function wide(size: number): object {
  return { inputs: { x: `float32[${size}]` }, outputs: { y: `float32[${size}]` } }
}

function run(args: readonly string[]): Promise<CommandResult> {
  return runCommand(args, folder)
}
