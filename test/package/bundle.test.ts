import { readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { basename, dirname, extname, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { nodeFileTrace } from '@vercel/nft'
import { beforeAll, describe, expect, test } from 'vitest'
import { tempFolder } from '../support/helpers.ts'
import { builtPackages, packageContents, type PublishedPackage } from '../support/packed.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const folder = tempFolder()
let built: Awaited<ReturnType<typeof builtPackages>>

beforeAll(async () => {
  built = await builtPackages(folder)
})

interface Size {
  readonly files: number
  readonly bytes: number
}

// What a user installs. A change that needs more says so here.
const budgets: Readonly<Record<string, { readonly size: () => Promise<Size>; readonly atMost: Size }>> = {
  'the plugin, packed': { size: () => packedSize('unplugin-onnx'), atMost: { files: 220, bytes: 3.2e6 } },
  'the plugin with its dependencies, in development': { size: developmentSize, atMost: { files: 300, bytes: 10e6 } },
  'the runtime, in production': { size: () => packedSize('runtime'), atMost: { files: 40, bytes: 1.5e6 } },
}

test.each(Object.entries(budgets))('%s stays within its budget', async (_, { size, atMost }) => {
  const { files, bytes } = await size()
  expect(files).toBeLessThanOrEqual(atMost.files)
  expect(bytes).toBeLessThanOrEqual(atMost.bytes)
})

test('the runtime has no dependencies', () => {
  const { dependencies, peerDependencies, peerDependenciesMeta } = manifestOf(built.runtime)
  expect(dependencies).toBeUndefined()
  expect(Object.keys(peerDependencies ?? {})).toEqual(Object.keys(peerDependenciesMeta ?? {}))
})

test.each(['unplugin-onnx', 'runtime'] as const)('a tracer finds what %s runs models with', async (name) => {
  const entry = join(built[name], 'dist/runtime/index.js')
  const modules = join(repository, 'node_modules')
  // As in an app: the package next to ONNX Runtime.
  symlinkSync(modules, join(built[name], 'node_modules'), 'junction')
  const { fileList } = await nodeFileTrace([entry], { base: '/', processCwd: '/' })
  rmSync(join(built[name], 'node_modules'))
  const files = [...fileList].join('\n')
  expect(files).toContain('onnxruntime-node/package.json')
  expect(files).toMatch(/onnxruntime-node\/bin\/.*libonnxruntime|onnxruntime-node\/bin\/.*onnxruntime\.dll/)
})

describe.each(['unplugin-onnx', 'runtime'] as const)('package %s', (name) => {
  test('every file that code opens by its place is there', () => {
    const opened = scripts(name).flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/new URL\(\s*["'](\.[^"']+)["'],\s*import\.meta\.url/g)]
        .map(([, path = '']) => join(dirname(file), path))
        .filter((path) => extname(path) !== ''),
    )
    expect(opened.length).toBeGreaterThan(0)
    expect(opened.filter((path) => !statSync(path, { throwIfNoEntry: false }))).toEqual([])
  })

  test('its scripts import each other, Node.js and what package.json names', () => {
    const { dependencies, peerDependencies } = manifestOf(built[name])
    const named = new Set(Object.keys({ ...dependencies, ...peerDependencies }))
    const strange = scripts(name).flatMap((file) =>
      importsOf(file)
        .filter((text) => !text.startsWith('.') && !isBuiltin(text) && !named.has(packageName(text)))
        .map((text) => `${relative(folder, file)}: ${text}`),
    )
    expect(strange).toEqual([])
  })

  test.each(['dist/runtime/web/index.js', 'dist/runtime/electron/index.js'])('a page can load %s', (entry) => {
    const files = new Set([join(built[name], entry)])
    const others: string[] = []
    for (const file of files)
      for (const text of importsOf(file))
        if (text.startsWith('.')) files.add(join(dirname(file), text))
        else others.push(text)
    expect(others).toEqual([])
  })
})

// The parser of sources and the cache's library are loaded when they are needed; so is the schema of ONNX.
test.each(['dist/plugin/vite.js', 'dist/plugin/shared/hit.js', 'dist/plugin/cli.js'])(
  '%s loads no library that an engine in the cache does not need',
  (entry) => {
    const files = new Set([join(built['unplugin-onnx'], entry)])
    for (const file of files)
      for (const text of importsOf(file)) if (text.startsWith('.')) files.add(join(dirname(file), text))
    const libraries = [...files].filter((file) => file.includes('libraries')).map((file) => basename(file, '.js'))
    expect(['cac', 'picomatch', 'valibot']).toEqual(expect.arrayContaining(libraries))
  },
)

test.each([
  ['a start by the hook of Node.js', 'shared/hook.js', ['base.js', 'files.js', 'find.js', 'hook.js', 'models.js']],
  ['Vite', 'vite.js', ['base.js', 'files.js', 'models.js', 'start.js', 'valibot.js', 'vite.js']],
])('%s loads what it needs before it sees a model, and nothing else', (_, entry, names) => {
  const files = new Set([join(built['unplugin-onnx'], 'dist/plugin', entry)])
  for (const file of files)
    for (const text of importsOf(file)) if (text.startsWith('.')) files.add(join(dirname(file), text))
  expect([...files].map((file) => basename(file)).sort()).toEqual(names)
})

test('every entry exports what it exports in the repository', async () => {
  const { exports } = manifestOf(built['unplugin-onnx'])
  const files = Object.values(exports).flatMap((target) =>
    typeof target === 'string' ? target : Object.values(target),
  )
  // The hook of Node.js starts when it is imported.
  for (const file of files.filter((name) => name.endsWith('.js') && name !== './dist/plugin/node.js')) {
    const names = async (root: string) => Object.keys(await import(pathToFileURL(join(root, file)).href)).sort()
    expect([file, await names(built['unplugin-onnx'])]).toEqual([file, await names(repository)])
  }
})

test('the licence of every package that is inside is in one file', () => {
  const text = readFileSync(join(built['unplugin-onnx'], 'dist/THIRD-PARTY-LICENSES'), 'utf8')
  const inside = new Set(
    scripts('unplugin-onnx').flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/^\/\/(?:#region)? node_modules\/((?:@[^/]+\/)?[^/]+)\//gm)].map(
        ([, name]) => name,
      ),
    ),
  )
  expect(inside).toContain('valibot')
  expect([...inside].filter((name) => !new RegExp(`^${name} \\d`, 'm').test(text))).toEqual([])
})

interface PackageManifest {
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, object>>
}

function manifestOf(package_: string): PackageManifest {
  return JSON.parse(readFileSync(join(package_, 'package.json'), 'utf8')) as PackageManifest
}

function scripts(name: PublishedPackage): readonly string[] {
  return filesBelow(join(built[name], 'dist')).filter((file) => /\.[cm]?js$/.test(file))
}

// What the bundler writes: each import is a line.
function importsOf(file: string): readonly string[] {
  const code = readFileSync(file, 'utf8')
  return [...code.matchAll(/^(?:import|export)\b(?:[^;"'`]*? from)? ?"([^"]+)";?$/gm)].map(([, text = '']) => text)
}

function packageName(text: string): string {
  return text.split('/', text.startsWith('@') ? 2 : 1).join('/')
}

async function packedSize(name: PublishedPackage): Promise<Size> {
  const { paths, bytes } = await packageContents(built[name])
  return { files: paths.length, bytes }
}

/** The package and what npm installs for it, as this repository has it; without peers, which an app has anyway. */
async function developmentSize(): Promise<Size> {
  const packages = new Set(Object.keys(manifestOf(built['unplugin-onnx']).dependencies ?? {}))
  const sizes = [await packedSize('unplugin-onnx')]
  for (const name of packages) {
    const package_ = join(repository, 'node_modules', name)
    if (!statSync(package_, { throwIfNoEntry: false })) continue
    const { dependencies, optionalDependencies } = manifestOf(package_)
    for (const needed of Object.keys({ ...dependencies, ...optionalDependencies })) packages.add(needed)
    const files = filesBelow(package_)
    sizes.push({ files: files.length, bytes: files.reduce((sum, file) => sum + statSync(file).size, 0) })
  }
  return sizes.reduce((sum, { files, bytes }) => ({ files: sum.files + files, bytes: sum.bytes + bytes }))
}

function filesBelow(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((name) => join(root, name))
    .filter((file) => statSync(file).isFile())
}
