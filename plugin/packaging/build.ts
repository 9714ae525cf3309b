// `npm run build:package [folder]`: writes the packages as they are published, each in a folder of its own: the plugin
// with its runtime, and the runtime alone.
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { bundle } from './bundle.ts'
import { rollUpDeclarations } from './declarations.ts'
import { openedFiles, publicEntries } from './entries.ts'
import { licenceText, packagesOf } from './licences.ts'
import { type PackageManifest, pluginManifest, runtimeManifest } from './manifests.ts'

const root = dirname(createRequire(import.meta.url).resolve('unplugin-onnx/package.json'))
const dist = join(root, 'dist')
const out = resolve(process.argv[2] ?? join(root, 'build', 'packages'))
const source = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as PackageManifest

await build(pluginManifest(source), { folder: 'unplugin-onnx', sides: ['plugin', 'runtime', 'native'] })
await build(runtimeManifest(source), { folder: 'runtime', sides: ['runtime', 'native'] })

interface Parts {
  readonly folder: string
  /** Folders of `dist` that are in the package. */
  readonly sides: readonly string[]
}

async function build(manifest: PackageManifest, { folder, sides }: Parts): Promise<void> {
  const target = join(out, folder)
  const output = join(target, 'dist')
  rmSync(target, { recursive: true, force: true })
  mkdirSync(target, { recursive: true })
  const { dependencies, peerDependencies, optionalDependencies } = manifest
  const outside = ['unplugin-onnx', ...Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies })]
  const entries = publicEntries(manifest)
  const hasPlugin = sides.includes('plugin')
  const modules = await bundle({
    dist,
    output,
    entries: [...new Set([...entries, ...openedFiles(dist, sides)])],
    external: new Set(outside),
    ...(hasPlugin && { unplugin: join(root, 'node_modules', 'unplugin') }),
  })
  const commands = new Set(Object.values(manifest.bin ?? {}).map((file) => file.replace('./dist/', '')))
  await rollUpDeclarations({
    dist,
    output,
    entries: entries.filter((file) => !commands.has(file)),
    inside: hasPlugin ? ['unplugin', '@rolldown/pluginutils', 'webpack-virtual-modules'] : [],
  })
  const packages = packagesOf(modules)
  if (packages.length > 0) writeFileSync(join(output, 'THIRD-PARTY-LICENSES'), licenceText(packages))
  writeFileSync(join(target, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  copyFileSync(join(root, 'LICENSE'), join(target, 'LICENSE'))
  // The page of `unplugin-onnx view` is a bundle already.
  if (hasPlugin) cpSync(join(dist, 'view'), join(output, 'view'), { recursive: true })
  if (!hasPlugin)
    return writeFileSync(join(target, 'README.md'), readFileSync(join(root, 'plugin', 'packaging', 'runtime.md')))
  for (const name of ['README.md', 'CHANGELOG.md', 'docs'])
    cpSync(join(root, name), join(target, name), { recursive: true })
}
