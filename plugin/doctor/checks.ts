import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { loadAddon } from '../../native/load-addon.ts'
import { tensorrtFamilies } from '../../native/tensorrt-wheels.ts'
import { findOpenVino } from '../../runtime/openvino/library.ts'
import { findTensorRt } from '../../runtime/tensorrt/library.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import type { FileChange } from './changes.ts'
import { gitignoreChange } from './changes.ts'
import { hasPlugin } from './edit-config.ts'
import { findFramework } from './frameworks.ts'
import { dependenciesOf, typesPlan } from './plan-init.ts'
import { isInRange } from './version-range.ts'

/** One line of the doctor: fine, or what to do. */
export interface Check {
  readonly name: string
  readonly isOk: boolean
  readonly text: string
}

/** Everything that stops people, and the files that `--fix` would change. */
export interface Checkup {
  readonly checks: readonly Check[]
  readonly changes: readonly FileChange[]
}

/** What this package's own package.json says. */
export interface PackageFacts {
  readonly engines: { readonly node: string }
  readonly peerDependencies: Readonly<Record<string, string>>
}

/** Looks at an app and this machine. Nothing is written, and no engine library is opened but the GPU's driver. */
export async function checkApp(options: ResolvedOptions, facts: PackageFacts): Promise<Checkup> {
  const { root, types } = options
  const tsconfig = types ? await typesPlan(root, types.dir) : { changes: [], notes: [] }
  const gitignore = types ? gitignoreChange(root, types.dir) : undefined
  const checks = [
    nodeCheck(facts),
    ...peerChecks(root, facts),
    bundlerCheck(root),
    tsconfigCheck(tsconfig, root),
    { name: '.gitignore', isOk: !gitignore, text: gitignore ? 'lacks the generated types. Run with --fix' : 'is fine' },
    ...addonChecks(),
    ...libraryChecks(),
    await gpuCheck(),
    cacheCheck(options.cache.dir),
    scriptsCheck(root),
    ...asarChecks(root),
  ]
  return { checks, changes: [...tsconfig.changes, ...(gitignore ? [gitignore] : [])] }
}

function nodeCheck({ engines }: PackageFacts): Check {
  const isOk = isInRange(process.versions.node, engines.node)
  const text = isOk ? process.versions.node : `${process.versions.node} is too old: install ${engines.node}`
  return { name: 'Node.js', isOk, text }
}

/** Optional packages that are there in another version than this one works with. */
function peerChecks(root: string, { peerDependencies }: PackageFacts): readonly Check[] {
  const require = createRequire(join(root, 'package.json'))
  return Object.entries(peerDependencies).flatMap(([name, range]): readonly Check[] => {
    const version = installedVersion(require, name)
    if (version === undefined) return []
    const isOk = isInRange(version, range)
    return [{ name, isOk, text: isOk ? version : `${version} is installed. Run: npm install '${name}@${range}'` }]
  })
}

function installedVersion(require: NodeJS.Require, name: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(require.resolve(`${name}/package.json`), 'utf8')) as { version: string }).version
  } catch {
    return undefined
  }
}

function bundlerCheck(root: string): Check {
  const found = findFramework(root)
  if (!found)
    return { name: 'bundler', isOk: false, text: `no configuration in ${root}. Run it in the folder of an app` }
  const file = relative(root, found.file)
  const isOk = hasPlugin(readFileSync(found.file, 'utf8'))
  return {
    name: 'bundler',
    isOk,
    text: isOk ? `${found.name}, ${file}` : `${file} lacks the plugin. Run: npx unplugin-onnx init`,
  }
}

function tsconfigCheck({ changes, notes }: Awaited<ReturnType<typeof typesPlan>>, root: string): Check {
  const [change] = changes
  const text = change ? `${relative(root, change.file)} lacks the types of models. Run with --fix` : 'is fine'
  return { name: 'tsconfig', isOk: changes.length + notes.length === 0, text: notes[0] ?? text }
}

const addonNames = ['onnxruntime', 'openvino', tensorrtFamilies[0].addon] as const

// An addon follows Node-API, which every Node.js that runs this package has: what differs is the platform.
function addonChecks(): readonly Check[] {
  return addonNames.map((name) => {
    const loaded = loadAddon(name)
    const isOk = 'addon' in loaded
    const text = isOk ? `loads, Node-API ${process.versions.napi}` : loaded.reason
    return { name: `addon ${name}`, isOk, text }
  })
}

function libraryChecks(): readonly Check[] {
  const found = {
    openvino: findOpenVino(),
    'tensorrt-rtx': findTensorRt('tensorrt-rtx'),
    tensorrt: findTensorRt('tensorrt'),
  }
  return Object.entries(found).flatMap(([name, library]) =>
    'file' in library ? [{ name: `library of ${name}`, isOk: true, text: library.file }] : [],
  )
}

async function gpuCheck(): Promise<Check> {
  const loaded = loadAddon(tensorrtFamilies[0].addon)
  const probe = 'addon' in loaded ? await loaded.addon.gpus() : { reason: loaded.reason, gpus: [], driver: '' }
  const names = probe.gpus.map(({ name, computeCapability }) => `${name} (${computeCapability})`)
  // Most apps need none.
  if (probe.reason !== '' || names.length === 0) return { name: 'GPU', isOk: true, text: `none: ${probe.reason}` }
  return { name: 'GPU', isOk: true, text: `${names.join(', ')}, driver ${probe.driver}` }
}

function cacheCheck(dir: string): Check {
  const folder = nearestFolder(dir)
  const { uid } = statSync(folder)
  const own = process.getuid?.()
  if (own !== undefined && own !== 0 && uid !== own)
    return {
      name: 'cache folder',
      isOk: false,
      text: `${folder} belongs to the user ${uid}. Change its owner or set cache.dir`,
    }
  try {
    accessSync(folder, constants.W_OK)
  } catch {
    return { name: 'cache folder', isOk: false, text: `${folder} cannot be written. Change its mode or set cache.dir` }
  }
  return { name: 'cache folder', isOk: true, text: folder === dir ? 'can be written' : `can be made in ${folder}` }
}

function nearestFolder(dir: string): string {
  return existsSync(dir) || dirname(dir) === dir ? dir : nearestFolder(dirname(dir))
}

function scriptsCheck(root: string): Check {
  const file = join(root, '.npmrc')
  const isOff = existsSync(file) && /^\s*ignore-scripts\s*=\s*true/m.test(readFileSync(file, 'utf8'))
  const text = isOff ? 'are off (.npmrc), which is fine: nothing here needs one' : 'are not needed'
  return { name: 'install scripts', isOk: true, text }
}

const packagers = ['electron-builder', '@electron-forge/cli'] as const

/** Whether the files that a packager leaves outside its archive include those that Node.js must load from disk. */
function asarChecks(root: string): readonly Check[] {
  const listed = dependenciesOf(root)
  const packager = packagers.find((name) => listed.has(name))
  if (packager === undefined) return []
  const files = ['package.json', 'electron-builder.yml', 'electron-builder.json', 'forge.config.js', 'forge.config.ts']
  const texts = files.map((name) => join(root, name)).filter((file) => existsSync(file))
  const isOk = texts.some((file) => /asarUnpack|asar\b[^\n]*unpack/.test(readFileSync(file, 'utf8')))
  const text = isOk
    ? `${packager} unpacks some files`
    : `${packager} packs everything: unpack what docs/electron.md lists`
  return [{ name: 'asar', isOk, text }]
}
