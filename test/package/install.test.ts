import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeFiles } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'
import { managers, type PackageManager } from '../support/package-managers.ts'
import { builtPackages, packageContents, packed } from '../support/packed.ts'

type Versions = Readonly<Record<string, string>>

/** A file, or files by condition. */
type Target = string | Versions

const repository = fileURLToPath(new URL('../..', import.meta.url))
const { devDependencies: tested } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
  devDependencies: Versions
}
const examples = readdirSync(join(repository, 'test/examples'))
const folder = tempFolder()
let tarball = ''

beforeAll(async () => {
  tarball = await packed(folder)
})

test('the tarball has what runs and what explains it: no sources, tests, maps, or install scripts', async () => {
  const { paths } = await packageContents((await builtPackages(join(folder, 'built')))['unplugin-onnx'])
  const runs =
    /^dist\/(?:(?:plugin|runtime|types)\/.*\.(?:d\.)?[cm]?[jt]s|view\/(?:index\.html|assets\/[\w-]+\.(?:js|css)))$/
  const explains =
    /^(?:docs\/.*\.md|README\.md|LICENSE|package\.json|dist\/(?:THIRD-PARTY-LICENSES|view\/licenses\.md))$/
  const strange = paths.filter((path) => !runs.test(path) && !explains.test(path))
  expect(strange).toEqual([])
  expect(paths.filter((path) => /(?<!\.d)\.[cm]?ts$|\.map$|binding\.gyp$/.test(path))).toEqual([])
  const { scripts, exports, bin } = JSON.parse(
    readFileSync(join(folder, 'built/unplugin-onnx/package.json'), 'utf8'),
  ) as Record<'scripts' | 'exports' | 'bin', Versions>
  expect(scripts).toBeUndefined()
  expect(
    Object.values<Target>({ ...exports, ...bin })
      .flatMap((file) => (typeof file === 'string' ? file : Object.values(file)))
      .map((file) => file.slice(2))
      .filter((file) => !paths.includes(file)),
  ).toEqual([])
})

/** Entries of the plugin that are no bundlers. */
const others = new Set(['config', 'jest', 'node'])

test('every bundler has an example, and every example is built', () => {
  const { exports } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { exports: Versions }
  const entries = Object.keys(exports)
    .map((name) => name.slice(2))
    .filter((name) => !others.has(name))
  expect(examples).toEqual(examples.filter((name) => entries.includes(name)))
  expect(entries.filter((name) => existsSync(join(repository, 'plugin', `${name}.ts`)) && !hasApp(name))).toEqual([])
  expect(managers.flatMap(({ examples }) => examples).sort()).toEqual(examples)
})

// Entries of frameworks have an app in test/frameworks.
function hasApp(name: string): boolean {
  return examples.includes(name) || existsSync(join(repository, 'test/frameworks', `${name}.spec.ts`))
}

const chosen = managers.flatMap((manager) =>
  (process.env['INSTALL'] === 'all' ? examples : manager.examples).map((example) => ({ example, manager })),
)

describe.each(chosen)('example of $example, by $manager.name', ({ example, manager }) => {
  const app = join(folder, `${example} ${managers.indexOf(manager)}`)
  const run = (script: string) => manager.run(app, 'run', script)

  // At once: together they are many folders.
  afterAll(() => rmSync(app, { recursive: true, force: true }))

  test('the example installs without scripts, builds, runs, and is type-checked', async () => {
    writeExample(app, example, manager)
    await manager.run(app, ...manager.install)
    await run('build')
    await run('types')
    expect(await run('start')).toContain('4 [3,5,7,9]')

    const main = join(app, example === 'rolldown' ? 'src/main.js' : 'src/main.ts')
    writeFileSync(main, readFileSync(main, 'utf8').replace(/(width: |@type \{)4/, '$15'))
    await expect(run('types')).rejects.toMatchObject({
      stdout: expect.stringContaining(`Type '4' is not assignable to type '5'`),
    })
  }, 180_000)
})

/** Writes an example as its user has it, but with the packed tarball and the versions that all tests have. */
function writeExample(app: string, example: string, { files = {}, manifest, typescript }: PackageManager): void {
  const source = join(repository, 'test/examples', example)
  const { dependencies, devDependencies, ...rest } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as {
    dependencies: Versions
    devDependencies: Versions
  }
  const pinned = (versions: Versions) =>
    Object.fromEntries(Object.entries(versions).map(([name, version]) => [name, tested[name] ?? version]))
  cpSync(source, app, { recursive: true })
  writeFiles(app, {
    ...files,
    'src/model.onnx': affineModel({ weight: 2 }),
    'package.json': JSON.stringify({
      ...rest,
      ...manifest,
      dependencies: { ...pinned(dependencies), 'unplugin-onnx': `file:${tarball}` },
      devDependencies: { ...pinned(devDependencies), ...(typescript !== undefined && { typescript }) },
    }),
  })
}
