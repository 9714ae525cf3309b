import { execFile } from 'node:child_process'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { install, writeFiles } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'
import { builtPackages } from '../support/packed.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const versions = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { readonly version: string }
const source = `
import { OnnxEngineError } from '@unplugin-onnx/runtime'
import model from './model.onnx?engine=fp32'
const error = await model.infer({}).catch((error) => error)
const { y } = await model.infer({ x: { data: Float32Array.of(1, 2, 3, 4), dims: [1, 4] } })
console.log(JSON.stringify([[...y.data], error instanceof OnnxEngineError]))
`
let built: Awaited<ReturnType<typeof builtPackages>>

beforeAll(async () => {
  built = await builtPackages(tempFolder())
})

/** A build of src/main.js into dist/main.mjs with each family of bundlers, as the text of a module. */
const builds: Readonly<Record<string, string>> = {
  rolldown: `
import { rolldown } from 'rolldown'
import onnx from 'unplugin-onnx/rolldown'
const bundle = await rolldown({ input: 'src/main.js', platform: 'node', plugins: [onnx()] })
await bundle.write({ dir: 'dist', entryFileNames: 'main.mjs' })`,
  vite: `
import { build } from 'vite'
import onnx from 'unplugin-onnx/vite'
const rollupOptions = { output: { entryFileNames: 'main.mjs' } }
await build({ logLevel: 'warn', plugins: [onnx()], build: { ssr: 'src/main.js', rollupOptions } })`,
  esbuild: `
import { build } from 'esbuild'
import onnx from 'unplugin-onnx/esbuild'
const output = { bundle: true, platform: 'node', format: 'esm', outfile: 'dist/main.mjs' }
await build({ ...output, entryPoints: ['src/main.js'], plugins: [onnx()] })`,
  webpack: `
import webpack from 'webpack'
import onnx from 'unplugin-onnx/webpack'
const compiler = webpack({
  mode: 'production', target: 'node', entry: './src/main.js', plugins: [onnx()], experiments: { outputModule: true },
  output: {
    path: process.cwd() + '/dist', filename: 'main.mjs', module: true, chunkFormat: 'module',
    library: { type: 'module' },
  },
})
await new Promise((done, reject) =>
  compiler.run((error, stats) => (error || stats.hasErrors() ? reject(error ?? String(stats)) : done())))`,
}

describe.each(Object.entries(builds))('an app with the plugin in devDependencies, %s', (bundler, build) => {
  test('runs in production by @unplugin-onnx/runtime alone', async () => {
    const [app, production] = [tempFolder(), tempFolder()]
    const manifest = { dependencies: { '@unplugin-onnx/runtime': versions.version }, type: 'module' }
    writeFiles(app, {
      'package.json': JSON.stringify(manifest),
      'build.mjs': build,
      'src/main.js': source,
      'src/model.onnx': affineModel({ weight: 2 }),
    })
    install(app, ['onnxruntime-node', bundler])
    installBuilt(app, ['unplugin-onnx', 'runtime'])
    await run(app, 'build.mjs')

    writeFiles(production, { 'package.json': JSON.stringify(manifest) })
    install(production, ['onnxruntime-node'])
    installBuilt(production, ['runtime'])
    cpSync(join(app, 'dist'), join(production, 'dist'), { recursive: true })
    expect(JSON.parse(await run(production, 'dist/main.mjs'))).toEqual([[3, 5, 7, 9], true])
  })
})

test('another version of the runtime than that of the plugin fails the build and names both', async () => {
  const app = tempFolder()
  writeFiles(app, {
    'package.json': JSON.stringify({ dependencies: { '@unplugin-onnx/runtime': '*' }, type: 'module' }),
    'build.mjs': builds['rolldown']!,
    'src/main.js': source,
    'src/model.onnx': affineModel({ weight: 2 }),
    'node_modules/@unplugin-onnx/runtime/package.json': JSON.stringify({ version: '0.0.9' }),
  })
  install(app, ['onnxruntime-node', 'rolldown'])
  installBuilt(app, ['unplugin-onnx'])
  await expect(run(app, 'build.mjs')).rejects.toMatchObject({
    stderr: expect.stringContaining(`expected version ${versions.version}, that of unplugin-onnx`),
  })
})

function installBuilt(app: string, names: readonly (keyof typeof built)[]): void {
  for (const name of names)
    cpSync(built[name], join(app, 'node_modules', name === 'runtime' ? '@unplugin-onnx/runtime' : name), {
      recursive: true,
    })
  // What npm would install for the plugin.
  const { dependencies } = JSON.parse(readFileSync(join(built['unplugin-onnx'], 'package.json'), 'utf8')) as {
    dependencies: object
  }
  install(app, Object.keys(dependencies))
}

async function run(folder: string, script: string): Promise<string> {
  return (await promisify(execFile)(process.execPath, [script], { cwd: folder })).stdout
}
