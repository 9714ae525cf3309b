import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { createModel, OnnxEngineError } from 'unplugin-onnx/runtime'
import { beforeEach, describe, expect, test } from 'vitest'
import { compile } from '../../plugin/api.ts'
import { modelManifest } from '../../plugin/compile/manifest.ts'
import type { CompileContext } from '../../plugin/compile/request.ts'
import type { ConvertRule } from '../../plugin/options/convert-types.ts'
import type { Options } from '../../plugin/options/types.ts'
import { install, runOutput, writeFiles } from '../support/app.ts'
import { cases } from '../support/bundlers.ts'
import { runCommand } from '../support/command.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel, onnxModel } from '../support/models.ts'

// A framework of our own: its files are ONNX files backwards.
const toOnnx = `
import { appendFileSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
const [input, output] = process.argv.slice(2)
appendFileSync('runs.txt', 'run\\n')
const inside = () => readdirSync(input).find((name) => name.endsWith('.toy'))
const file = statSync(input).isDirectory() ? input + '/' + inside() : input
writeFileSync(output, readFileSync(file).reverse())
`
const backwards = (bytes: Uint8Array) => Uint8Array.from(bytes).reverse()
const command = ['node', 'tools/to onnx.mjs', '{input}', '{output}']

let folder: string
beforeEach(() => {
  folder = join(tempFolder(), 'ein Ordner mit ü')
  writeFiles(folder, {
    'package.json': JSON.stringify({ type: 'module' }),
    'tools/to onnx.mjs': toOnnx,
    'double.toy': backwards(affineModel({ weight: 2 })),
  })
})

const options = (rule: Partial<ConvertRule> = {}, others: Options = {}): Options => ({
  root: folder,
  backends: ['onnxruntime'],
  onnxruntime: { portable: false },
  types: false,
  convert: { '.toy': { command, ...rule } },
  ...others,
})

const build = (rule?: Partial<ConvertRule>, context?: Partial<CompileContext>, file = 'double.toy') =>
  compile(join(folder, file), options(rule), context)

const runs = () =>
  existsSync(join(folder, 'runs.txt')) ? readFileSync(join(folder, 'runs.txt'), 'utf8').length / 4 : 0

async function outputOf(compiled: Awaited<ReturnType<typeof compile>>): Promise<readonly number[]> {
  const files = compiled.variants.map(({ artifact }) => artifact.file)
  await using model = createModel(modelManifest(compiled, files))
  const outputs = await model.infer({ x: { data: Float32Array.of(1, 2, 3, 4), dims: [1, 4] } })
  return Array.from(outputs['y']?.data as Float32Array)
}

const printing = (version: string) => ({ version: ['node', '-p', `'${version}'`] })

const affine = (weight: number) => [1, 2, 3, 4].map((x) => x * weight + 1)

describe('a file of another framework', () => {
  test('is converted once, and again after each change of what it depends on', async () => {
    writeFiles(folder, { 'lists/versions.txt': '1' })
    const rule = { inputs: ['lists/*.txt'] }
    const first = await build(rule)
    expect(first.name).toBe('double')
    expect(await outputOf(first)).toEqual(affine(2))
    await build(rule)
    expect(runs()).toBe(1)

    writeFiles(folder, { 'double.toy': backwards(affineModel({ weight: 3 })) })
    expect(await outputOf(await build(rule))).toEqual(affine(3))
    expect(runs()).toBe(2)
    writeFiles(folder, { 'tools/to onnx.mjs': `${toOnnx}// another version` })
    await build(rule)
    expect(runs()).toBe(3)
    writeFiles(folder, { 'lists/versions.txt': '2' })
    const last = await build(rule)
    expect(runs()).toBe(4)
    expect(last.files.map((file) => file.slice(folder.length + 1)).sort()).toEqual([
      'double.toy',
      'lists/versions.txt',
      'tools/to onnx.mjs',
    ])
  })

  test('is converted again when the program prints another version', async () => {
    await build(printing('1.0'))
    await build(printing('1.0'))
    expect(runs()).toBe(1)
    await build(printing('1.1'))
    expect(runs()).toBe(2)
  })

  test('may be a folder', async () => {
    writeFiles(folder, { 'saved/a.toy': backwards(affineModel({ weight: 5 })), 'saved/notes.txt': 'a' })
    const convert = { saved: { command } }
    const first = await compile(join(folder, 'saved'), options({}, { convert }))
    expect(first.name).toBe('saved')
    expect(await outputOf(first)).toEqual(affine(5))
    writeFiles(folder, { 'saved/notes.txt': 'b' })
    await compile(join(folder, 'saved'), options({}, { convert }))
    expect(runs()).toBe(2)
  })

  test('gets the names that an exporter lost', async () => {
    writeFiles(folder, {
      'double.toy': backwards(
        onnxModel({
          inputs: { 'serving_default_image:0': 'float32[s40,4]' },
          outputs: { linear_2: 'float32[s40,4]' },
          nodes: [
            { op: 'Relu', inputs: ['serving_default_image:0'], outputs: ['linear_2'] },
            { op: 'Relu', inputs: ['linear_2'], outputs: ['unused'] },
          ],
        }),
      ),
    })
    const compiled = await build({
      rename: { 'serving_default_image:0': 'image', linear_2: 'logits' },
      dims: { image: ['batch', null], logits: ['batch', null] },
    })
    expect(compiled.bindings).toEqual({
      inputs: [{ name: 'image', dtype: 'float32', dims: ['batch', 4] }],
      outputs: [{ name: 'logits', dtype: 'float32', dims: ['batch', 4] }],
    })
    expect(runs()).toBe(1)
  })

  test.each<[string, Partial<ConvertRule>, RegExp]>([
    ['of an unknown input', { rename: { image: 'x' } }, /rename.*expected one of .*"x", "y".*received "image"/s],
    ['to a name that is taken', { rename: { x: 'y' } }, /rename\.x.*no other value.*received "y"/s],
    ['of dims of an unknown output', { dims: { logits: ['n'] } }, /dims.*expected one of .*received "logits"/s],
    ['of too few dims', { dims: { x: ['n'] } }, /dims\.x.*expected 2 names or nulls.*received 1/s],
  ])('refuses a new name %s', async (_, rule, message) => {
    await expect(build(rule)).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringMatching(message),
    })
  })

  test('is converted once for two builds at the same time', async () => {
    const { root: _, ...config } = options()
    writeFiles(folder, { 'unplugin-onnx.config.json': JSON.stringify(config) })
    const ended = await Promise.all([0, 1].map(() => runCommand(['build', 'double.toy', '--out', 'out'], folder)))
    expect(ended.map(({ code }) => code)).toEqual([0, 0])
    expect(runs()).toBe(1)
    expect(existsSync(join(folder, 'out', 'double.json'))).toBe(true)
    const inspected = await runCommand(['inspect', 'double.toy', '--json'], folder)
    expect(JSON.parse(inspected.stdout)).toMatchObject({ kind: 'model', file: join(folder, 'double.toy') })
  })

  test('is not converted by a build that may not compile', async () => {
    await expect(compile(join(folder, 'double.toy'), options({}, { frozen: true }))).rejects.toMatchObject({
      code: 'NOT_CACHED',
    })
    expect(runs()).toBe(0)
  })
})

describe('a program that fails', () => {
  test.each<[string, Partial<ConvertRule> & { readonly script?: string }, RegExp]>([
    [
      'ends with its last lines',
      { script: `console.log('loading'); console.error('no operator Foo'); process.exit(3)` },
      /double\.toy: option 'convert' '\.toy'.*loading.*no operator Foo.*received it ended with code 3/s,
    ],
    ['writes nothing', { script: '' }, /received no file at \{output\}/],
    [
      'writes no ONNX',
      { script: `(await import('node:fs')).writeFileSync(process.argv[3], 'hello')` },
      /^double\.toy: .*received \{output\}/s,
    ],
    ['writes an empty file', { script: `(await import('node:fs')).writeFileSync(process.argv[3], '')` }, /received/],
    ['is not installed', { command: ['no-such-converter', '{output}'] }, /received there is no program 'no-such-conv/],
    ['never ends', { script: 'setInterval(() => {}, 1000)', timeout: '300ms' }, /received it took longer than 0\.3 s/],
    [
      'prints without end',
      { script: `for (let i = 0; i < 1e5; i++) console.log('x'.repeat(1000)); process.exitCode = 1` },
      /received it ended with code 1/,
    ],
    ['has inputs that are not there', { inputs: ['nowhere/*.txt'] }, /expected files that match 'nowhere\/\*\.txt'/],
    ['has no version', { version: ['no-such-converter'] }, /version: no-such-converter.*received there is no program/s],
  ])('%s', async (_, { script, ...rule }, message) => {
    if (script !== undefined) writeFiles(folder, { 'tools/to onnx.mjs': script })
    const failure = (await build(rule).catch((error: unknown) => error)) as OnnxEngineError
    expect(failure).toBeInstanceOf(OnnxEngineError)
    expect(failure.code).toBe('CONVERT_FAILED')
    expect(failure.message).toMatch(message)
    expect(failure.message.length).toBeLessThan(6000)
  })

  test('is tried again by the next build', async () => {
    writeFiles(folder, { 'tools/to onnx.mjs': 'process.exit(1)' })
    await expect(build()).rejects.toMatchObject({ code: 'CONVERT_FAILED' })
    writeFiles(folder, { 'tools/to onnx.mjs': toOnnx })
    expect(await outputOf(await build())).toEqual(affine(2))
  })

  test.skipIf(process.platform === 'win32')('is ended with all its processes when the build is cancelled', async () => {
    writeFiles(folder, {
      'tools/to onnx.mjs': `
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' })
writeFileSync('pids.txt', process.pid + ' ' + child.pid)
setInterval(() => {}, 1000)
`,
    })
    const controller = new AbortController()
    const building = build({}, { signal: controller.signal }).catch((error: unknown) => error)
    while (!existsSync(join(folder, 'pids.txt'))) await setTimeout(10)
    const pids = readFileSync(join(folder, 'pids.txt'), 'utf8').split(' ').map(Number)
    controller.abort()
    expect(await building).toMatchObject({ code: 'COMPILE_ABORTED' })
    for (const pid of pids) await vanished(pid)
  })
})

/** Waits until a process is gone, or only its parent has not noticed yet. */
async function vanished(pid: number): Promise<void> {
  for (;;) {
    try {
      if (/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return
    } catch {
      return
    }
    await setTimeout(10)
  }
}

describe('an import of such a file', () => {
  const bundlers = [...new Map([...cases].reverse().map((one) => [one.bundler, one])).values()].reverse()
  const main = `
import model from '../double.toy?engine=fp32'
async function main() {
  const { y } = await model.infer({ x: { data: new Float32Array([1, 2, 3, 4]), dims: [1, 4] } })
  console.log(JSON.stringify([...y.data]))
}
main()
`

  test.each(bundlers)('works with $bundler', async ({ entry, run }) => {
    writeFiles(folder, { 'src/main.js': main })
    install(folder, ['unplugin-onnx', '@farmfe/core'])
    const dir = join(folder, 'out')
    await run({ root: folder, dir, options: options() } as Parameters<typeof run>[0])
    expect(await runOutput(join(dir, entry))).toEqual(affine(2))
  })

  test('works in plain Node.js, and has types', async () => {
    const { root: _, types: __, ...config } = options()
    writeFiles(folder, {
      'unplugin-onnx.config.json': JSON.stringify(config),
      'src/main.js': main,
      'src/style.js': `import '../double.toy?engine=fp32'`,
    })
    install(folder, ['unplugin-onnx'])
    const run = await runNode(['--import', 'unplugin-onnx/node', 'src/main.js'])
    expect(JSON.parse(run)).toEqual(affine(2))
    const { code, stdout } = await runCommand(['types'], folder)
    expect([code, stdout]).toEqual([0, expect.stringContaining('2 imports of models typed')])
    const declared = readFileSync(join(folder, '.unplugin-onnx/types/double.d.toy?engine=fp32.ts'), 'utf8')
    expect(declared).toContain('x: "float32[1,4]"')
    expect(runs()).toBe(1)
  })
})

async function runNode(args: readonly string[]): Promise<string> {
  const { execFile } = await import('node:child_process')
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: folder }, (error, stdout, stderr) =>
      error ? reject(new Error(stderr)) : resolve(stdout),
    )
  })
}

const refuse = (convert: unknown) => compile(join(folder, 'double.toy'), { convert } as Options)

test('an option that cannot be a rule is refused', async () => {
  await expect(refuse({ '.onnx': { command } })).rejects.toMatchObject({ code: 'OPTION_INVALID' })
  await expect(refuse({ '.toy': { command: [] } })).rejects.toMatchObject({ code: 'OPTION_INVALID' })
  await expect(refuse({ '.toy': { command: ['convert', '{input}'] } })).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    message: expect.stringContaining(`an argument with '{output}'`),
  })
})
