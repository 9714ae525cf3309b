import { execFile, spawn } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { install, writeFiles, writeSmallApp, writeWeight } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'

const app = tempFolder()
const cache = join(app, 'node_modules/.cache')

interface Run {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs Node.js in the app. */
function run(args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd = app): Promise<Run> {
  return new Promise((done) => {
    execFile(
      process.execPath,
      args,
      { cwd, env: { ...process.env, NODE_OPTIONS: '', ...env } },
      (error, stdout, stderr) =>
        done({ code: Number(error?.code ?? 0), stdout, stderr: stripVTControlCharacters(stderr) }),
    )
  })
}

const hooked = (...args: readonly string[]) => run(['--import', 'unplugin-onnx/node', ...args])

const infer = `
export const infer = async (model) => [...(await model.infer({ x: new Float32Array([1, 2, 3, 4]) })).y.data]
`

beforeAll(() => {
  install(app, ['unplugin-onnx', 'onnxruntime-node'])
  writeFiles(app, {
    'package.json': JSON.stringify({ type: 'module', imports: { '#models/*': './models/*' } }),
    'infer.js': infer,
    'models/double.onnx': affineModel({ weight: 2 }),
    'models/%20 ü.onnx': affineModel({ weight: 3 }),
    'models/text.onnx': 'no model',
    'node_modules/hiding/package.json': JSON.stringify({ name: 'hiding', exports: { '.': './index.js' } }),
    'node_modules/hiding/models/five.onnx': affineModel({ weight: 5 }),
    'main.js': `
import { createRequire } from 'node:module'
import double from './models/double.onnx?engine=fp32'
import spelled from '../${app.split(/[\\/]/).at(-1)}/models/double.onnx?engine=fp32'
import mapped from '#models/double.onnx?engine=fp32'
import odd from './models/%20 ü.onnx'
import hidden from 'hiding/models/five.onnx?engine=fp32'
import { infer } from './infer.js'
const required = createRequire(import.meta.url)('./models/double.onnx?engine=fp32').default
const { default: lazy } = await import('./models/double.onnx?engine=fp16')
console.log(JSON.stringify({
  double: await infer(double), odd: await infer(odd), hidden: await infer(hidden), lazy: await infer(lazy),
  same: [spelled, mapped, required, lazy].map((model) => model === double),
}))`,
  })
})

const results = {
  double: [3, 5, 7, 9],
  odd: [4, 7, 10, 13],
  hidden: [6, 11, 16, 21],
  lazy: [3, 5, 7, 9],
  same: [true, true, true, false],
}

describe('node --import unplugin-onnx/node', () => {
  test('every kind of import gives a model, and the second start prints and compiles nothing', async () => {
    const first = await hooked('main.js')
    expect(first.stderr).toMatch(/\n {2}double {2}fp16 {2}onnxruntime +miss: new/)
    expect(JSON.parse(first.stdout)).toEqual(results)
    // Libraries that are not found are no news.
    expect(first.stderr).not.toMatch(/passed over .*was not found/)
    const second = await hooked('main.js')
    expect(JSON.parse(second.stdout)).toEqual(results)
    expect(second.stderr).toBe('')
    // The types of what was compiled.
    expect(readdirSync(join(app, '.unplugin-onnx/types'))).not.toEqual([])
  })

  test('NODE_OPTIONS does the same, and compilers start without it', async () => {
    rmSync(cache, { recursive: true, force: true })
    const { stdout } = await run(['main.js'], { NODE_OPTIONS: '--import unplugin-onnx/node --no-deprecation' })
    expect(JSON.parse(stdout)).toEqual(results)
  })

  test('a debugger that listens changes nothing', async () => {
    const { stdout, stderr } = await run(['--inspect=0', '--import', 'unplugin-onnx/node', 'main.js'])
    expect(stderr).toContain('Debugger listening on')
    expect(JSON.parse(stdout)).toEqual(results)
  })

  test('a worker thread imports models', async () => {
    writeFiles(app, {
      'worker.js': `
import { parentPort } from 'node:worker_threads'
import double from './models/double.onnx?engine=fp32'
import { infer } from './infer.js'
parentPort.postMessage(await infer(double))`,
      'starter.js': `
import { Worker } from 'node:worker_threads'
const worker = new Worker(new URL('./worker.js', import.meta.url))
worker.on('message', (y) => console.log(JSON.stringify(y)))`,
    })
    expect(await hooked('starter.js')).toMatchObject({ stdout: '[3,5,7,9]\n', stderr: '', code: 0 })
  })

  test('node --test runs tests that import models', async () => {
    writeFiles(app, {
      'double.test.js': `
import assert from 'node:assert/strict'
import { test } from 'node:test'
import double from './models/double.onnx?engine=fp32'
import { infer } from './infer.js'
test('it runs', async () => assert.deepEqual(await infer(double), [3, 5, 7, 9]))`,
    })
    const { stdout, code } = await hooked('--test', 'double.test.js')
    expect(stdout).toMatch(/pass 1\b/)
    expect(code).toBe(0)
  })

  test('a process that exits at once exits', async () => {
    writeFiles(app, { 'exit.js': `import './models/double.onnx?engine=fp32'\nprocess.exit(3)` })
    expect(await hooked('exit.js')).toMatchObject({ code: 3 })
  })

  test('processes that start together compile a model once', async () => {
    rmSync(cache, { recursive: true, force: true })
    writeFiles(app, { 'one.js': `import './models/double.onnx?engine=fp32'` })
    const runs = await Promise.all([1, 2, 3].map(() => hooked('one.js')))
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0])
    const misses = runs
      .map(({ stderr }) => stderr)
      .join('')
      .match(/fp32 {2}onnxruntime +miss/g)
    expect(misses).toHaveLength(1)
  })

  test('other files and queries stay what they are', async () => {
    writeFiles(app, {
      'other.js': `
import { infer } from './infer.js?x=1'
import('./models/double.onnx?url').catch(({ code }) => console.log(code))`,
    })
    expect((await hooked('other.js')).stdout).toBe('ERR_UNKNOWN_FILE_EXTENSION\n')
  })
})

describe('an error keeps its code and its text', () => {
  test.each([
    [
      './models/doubel.onnx',
      'MODEL_NOT_FOUND',
      /import '\.\/models\/doubel\.onnx' in errors\.js.*Did you mean '\.\/models\/double\.onnx'/,
    ],
    ['./models/double.onnx?engin=fp16', 'QUERY_INVALID', /Did you mean 'engine'/],
    ['./models/double.onnx?engine=fp61', 'QUERY_INVALID', /Did you mean 'fp16'\?\n {2}imported by errors\.js/],
    ['./models/text.onnx', 'MODEL_INVALID', /received a text file/],
    ['hiding/models/six.onnx', 'MODEL_NOT_FOUND', /install the package/],
  ])('%s is %s', async (specifier, code, message) => {
    writeFiles(app, {
      'errors.js': `
import { createRequire } from 'node:module'
const text = ({ name, code, message, hint }) => ({ name, code, message, hint })
const imported = await import('${specifier}').catch(text)
try { createRequire(import.meta.url)('${specifier}') }
catch (error) { console.log(JSON.stringify([imported, text(error)])) }`,
      'static.js': `import model from '${specifier}'`,
    })
    const { stdout } = await hooked('errors.js')
    for (const error of JSON.parse(stdout) as unknown[])
      expect(error).toMatchObject({ name: 'OnnxEngineError', code, message: expect.stringMatching(message) })
    const { stderr, code: exit } = await hooked('static.js')
    expect(stderr).toMatch(new RegExp(`OnnxEngineError: .*\n`))
    expect(stderr).toContain(`code: '${code}'`)
    expect(exit).toBe(1)
  })

  test('wrong options name their file', async () => {
    writeFiles(app, { 'unplugin-onnx.config.json': '{"engin":"fp16"}', 'one.js': `import './models/double.onnx'` })
    try {
      expect((await hooked('one.js')).stderr).toMatch(/unplugin-onnx\.config\.json: option 'engin'/)
    } finally {
      rmSync(join(app, 'unplugin-onnx.config.json'))
    }
  })
})

test('a compiling thread that ends fails the import at once, with the reason', async () => {
  const root = join(app, 'ending')
  writeFiles(root, {
    'package.json': '{"type":"module"}',
    'model.onnx': affineModel(),
    // Read by this thread and by the one that compiles.
    'unplugin-onnx.config.mjs': `import { isMainThread } from 'node:worker_threads'
if (!isMainThread) process.exit(7)
export default {}`,
    // Synchronous in every release of Node.js.
    'main.cjs': `try { require('./model.onnx') } catch ({ code, received }) {
  console.log(JSON.stringify({ code, received }))
}`,
  })
  const { stdout } = await run(['--import', 'unplugin-onnx/node', 'main.cjs'], {}, root)
  expect(JSON.parse(stdout)).toEqual({ code: 'COMPILE_FAILED', received: 'exit code 7' })
})

describe('unplugin-onnx.config', () => {
  beforeEach(() => rmSync(join(app, 'unplugin-onnx.config.ts'), { force: true }))

  test('a file in TypeScript decides the precision', async () => {
    writeFiles(app, {
      'unplugin-onnx.config.ts': `
import { defineConfig } from 'unplugin-onnx/config'
export default defineConfig({ engine: 'fp16' as const, onnxruntime: { portable: false } })`,
      'one.js': `
import double from './models/double.onnx'
await double.load()
console.log(double.variant.engine)`,
    })
    try {
      expect((await hooked('one.js')).stdout).toBe('fp16\n')
    } finally {
      rmSync(join(app, 'unplugin-onnx.config.ts'))
    }
  })
})

describe('node --watch', () => {
  const watched = tempFolder()

  test('the app starts again when external data, the model or the options change', async () => {
    install(watched, ['unplugin-onnx', 'onnxruntime-node'])
    writeSmallApp(watched, 2)
    writeFiles(watched, { 'unplugin-onnx.config.json': '{}' })
    const child = spawn(process.execPath, ['--watch', '--import', 'unplugin-onnx/node', 'src/main.js'], {
      cwd: watched,
      env: { ...process.env, NODE_OPTIONS: '' },
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    const shows = async (text: string) => {
      await expect.poll(() => output, { timeout: 60_000 }).toContain(text)
      output = ''
    }
    try {
      await shows('[2,4,6,8]')
      writeWeight(watched, 10)
      await shows('[10,20,30,40]')
      writeFiles(watched, { 'src/model.onnx': affineModel({ weight: 3 }) })
      await shows('[4,7,10,13]')
      writeFiles(watched, { 'unplugin-onnx.config.json': '{"onnxruntime":{"portable":false}}' })
      await shows('[4,7,10,13]')
    } finally {
      child.kill()
    }
  })
})
