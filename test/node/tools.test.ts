import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { install, writeFiles } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'
import { runNpm } from '../support/package-managers.ts'

// Test runners and loaders that apps have; they are no dependencies of this repository, because Jest is 250 packages.
const versions = ['jest@30.5.2', '@babel/plugin-transform-modules-commonjs@7', 'tsx@4.23.15']

const app = tempFolder()

function run(args: readonly string[], cwd = app): Promise<string> {
  return new Promise((done) => {
    execFile(process.execPath, args, { cwd, env: { ...process.env, NODE_OPTIONS: '' } }, (_, stdout, stderr) =>
      done(stripVTControlCharacters(stdout + stderr)),
    )
  })
}

function jest(name: string, ...flags: readonly string[]): Promise<string> {
  return run([...flags, join(app, 'node_modules/jest/bin/jest.js'), name, '--config', join(app, 'jest.config.json')])
}

beforeAll(async () => {
  writeFiles(app, { 'package.json': '{}' })
  await runNpm(app, 'install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', ...versions)
  install(app, ['unplugin-onnx', 'onnxruntime-node', 'vite', 'vitest'])
  writeFiles(app, {
    'double.onnx': affineModel({ weight: 2 }),
    // Jest turns modules into CommonJS.
    'app.js': `
import model from './double.onnx?engine=fp32'
export const double = async (values) => (await model.infer({ x: new Float32Array(values) })).y`,
  })
})

describe('Jest', () => {
  beforeAll(() => {
    writeFiles(app, {
      'babel.config.json': JSON.stringify({ plugins: ['@babel/plugin-transform-modules-commonjs'] }),
      'jest.config.json': JSON.stringify({ resolver: 'unplugin-onnx/jest' }),
    })
  })

  test('a test imports a model without flags, and compares its outputs', async () => {
    writeFiles(app, {
      'real.test.js': `
import { OnnxEngineError } from 'unplugin-onnx/runtime'
import model from './double.onnx?engine=fp32'
import half from './double.onnx?engine=fp16'
import { double } from './app.js'
test('it runs', async () => {
  expect(await double([1, 2, 3, 4])).toEqual({ dtype: 'float32', dims: [1, 4], data: new Float32Array([3, 5, 7, 9]) })
  await expect(model.infer({})).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  await expect(model.infer({})).rejects.toBeInstanceOf(OnnxEngineError)
  await half.load()
  expect(half.variant.engine).toBe('fp16')
})
test('errors are ours', () => {
  expect(() => require('./double.onnx?engine=fp61')).toThrow(/Did you mean 'fp16'/)
  expect(() => require('./doubel.onnx')).toThrow(/Did you mean '.\\/double.onnx'/)
})`,
    })
    expect(await jest('real.test.js')).toMatch(/Tests: +2 passed/)
  })

  test('jest.mock() replaces a model by a mock', async () => {
    writeFiles(app, {
      'mocked.test.js': `
import { double } from './app.js'
jest.mock('./double.onnx?engine=fp32', () => {
  const { mockModel } = jest.requireActual('unplugin-onnx/testing')
  return mockModel({ y: { data: new Float32Array([7]), dims: [1] } })
})
test('it is mocked', async () => {
  expect(await double([1])).toEqual({ dtype: 'float32', dims: [1], data: new Float32Array([7]) })
})`,
    })
    expect(await jest('mocked.test.js')).toMatch(/Tests: +1 passed/)
  })

  test('ES modules, by its flag, keep the query of an import', async () => {
    writeFiles(app, {
      'esm/double.onnx': affineModel({ weight: 2 }),
      'esm/native.test.mjs': `
import model from './double.onnx?engine=fp16'
test('it runs', async () => {
  await model.load()
  expect(model.variant.engine).toBe('fp16')
})`,
      'jest.config.json': JSON.stringify({ resolver: 'unplugin-onnx/jest', testMatch: ['**/*.test.*js'] }),
    })
    expect(await jest('native.test.mjs', '--experimental-vm-modules')).toMatch(/Tests: +1 passed/)
  })
})

test('vi.mock() replaces a model by a mock', async () => {
  writeFiles(app, {
    'vitest.config.mjs': `import onnx from 'unplugin-onnx/vite'\nexport default { plugins: [onnx()] }`,
    'app.test.mjs': `
import { expect, test, vi } from 'vitest'
import { double } from './app.js'
vi.mock('./double.onnx?engine=fp32', async () => {
  const { mockModel } = await import('unplugin-onnx/testing')
  return { default: mockModel({ y: { data: new Float32Array([7]), dims: [1] } }) }
})
test('it is mocked', async () => expect(await double([1])).toMatchObject({ data: new Float32Array([7]) }))`,
  })
  const vitest = join(app, 'node_modules/vitest/vitest.mjs')
  expect(await run([vitest, 'run', 'app.test.mjs', '--root', app])).toMatch(/Tests +1 passed/)
})

test.each([
  ['after tsx', ['tsx', 'unplugin-onnx/node']],
  ['before tsx', ['unplugin-onnx/node', 'tsx']],
])('tsx runs TypeScript that imports models, with the hook %s', async (_, hooks) => {
  writeFiles(app, {
    'ts/package.json': '{"type":"module"}',
    'ts/tsconfig.json': JSON.stringify({ compilerOptions: { paths: { '@/*': ['./*'] } } }),
    'ts/double.onnx': affineModel({ weight: 2 }),
    'ts/main.ts': `
import model from './double.onnx?engine=fp32'
import aliased from '@/double.onnx?engine=fp32'
const values: number[] = [1, 2, 3, 4]
const { y } = await model.infer({ x: new Float32Array(values) })
console.log(JSON.stringify([...y.data]), model === aliased)`,
  })
  const flags = hooks.flatMap((hook) => ['--import', hook])
  expect(await run([...flags, 'main.ts'], join(app, 'ts'))).toContain('[3,5,7,9] true')
})
