import { execFile } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { writeFiles } from './app.ts'
import { tempFolder } from './helpers.ts'
import { affineModel } from './models.ts'

const run = promisify(execFile)
const repository = fileURLToPath(new URL('..', import.meta.url))
const { devDependencies: versions } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { devDependencies: Record<string, string> }
const folder = tempFolder()
let tarball = ''

interface Manager {
  readonly name: string
  /** The manager's script, which Node.js runs; without one it is the npm of this Node.js. */
  readonly script?: string
  /** What the npm of this Node.js is told, to run another one: as a dependency it would warn every user of Node.js 20. */
  readonly through?: readonly string[]
  readonly install: readonly string[]
  readonly files?: Readonly<Record<string, string>>
  /** The compiler, where TypeScript 7 cannot be it. */
  readonly typescript?: string
  /** What the app's package.json needs besides: docs/deploying.md says why. */
  readonly manifest?: object
  /** Left to `INSTALL=all`, because what it has of its own is proven by the others. */
  readonly extra?: true
}

const npm = ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']
const yarn = (linker: string) => ({
  script: binOf('@yarnpkg/cli-dist', 'yarn'),
  install: ['install'],
  files: { 'yarn.lock': '', '.yarnrc.yml': `nodeLinker: ${linker}\nenableScripts: false\nenableTelemetry: false\nenableImmutableInstalls: false\n` },
})

const managers: readonly Manager[] = [
  { name: 'npm', install: npm },
  { name: 'npm 12', install: npm, through: ['exec', '--yes', '--package=npm@12.1.0', '--', 'npm'], extra: true },
  { name: 'pnpm', install: ['install', '--ignore-scripts', '--prefer-offline'], script: binOf('pnpm') },
  { name: 'yarn with node_modules', ...yarn('node-modules'), extra: true },
  // TypeScript 7 does not know Plug'n'Play.
  { name: `yarn with Plug'n'Play`, ...yarn('pnp'), typescript: '5.9.3', manifest: { dependenciesMeta: { 'oxc-parser': { unplugged: true } } } },
]

beforeAll(async () => {
  tarball = join(folder, (await npmOf(repository, ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder])).trim())
})

test('the tarball has what runs and what explains it: no sources, tests, maps, or install scripts', async () => {
  const [{ files }] = JSON.parse(await npmOf(repository, ['pack', '--dry-run', '--json', '--ignore-scripts'])) as [{ files: { path: string }[] }]
  const paths = files.map(({ path }) => path)
  const strange = paths.filter((path) => !/^(?:dist\/(?:plugin|runtime|native)\/.*\.(?:d\.)?c?[jt]s|docs\/.*\.md|(?:README|CHANGELOG)\.md|LICENSE|package\.json)$/.test(path))
  expect(strange).toEqual([])
  expect(paths.filter((path) => /(?<!\.d)\.c?ts$|\.map$|binding\.gyp$|native\/(?:build|pack|publish|test|vendor)\./.test(path))).toEqual([])
  const { scripts, exports, bin } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as Record<'scripts' | 'exports' | 'bin', Record<string, string>>
  expect(Object.keys(scripts).filter((name) => /^(?:pre|post)?(?:install|prepare)$/.test(name))).toEqual([])
  expect(Object.values({ ...exports, ...bin }).map((file) => file.slice(2)).filter((file) => !paths.includes(file))).toEqual([])
})

const chosen = managers.filter(({ extra }) => !extra || process.env['INSTALL'] === 'all')

describe.each(chosen)('$name', ({ name, script, through = [], install, files = {}, manifest, typescript = versions['typescript'] ?? '' }) => {
  const app = join(folder, name.replaceAll(/\W/g, ''))
  const manage = (...args: string[]) => (script === undefined ? npmOf(app, [...through, ...args]) : runNode(app, script, args))

  test('installs the tarball without scripts; an app builds, runs, and is type-checked', async () => {
    cpSync(join(repository, 'test/examples/vite'), app, { recursive: true })
    const example = JSON.parse(readFileSync(join(app, 'package.json'), 'utf8')) as object
    writeFiles(app, {
      ...files,
      'src/model.onnx': affineModel({ weight: 2 }),
      'package.json': JSON.stringify({
        ...example,
        ...manifest,
        dependencies: { 'unplugin-onnx': `file:${tarball}`, 'onnxruntime-node': versions['onnxruntime-node'] },
        devDependencies: { vite: versions['vite'], typescript },
      }),
    })
    await manage(...install)
    expect(await manage('run', 'build')).toMatch(/model {2}fp32 {2}onnxruntime {2}miss: new/)
    await manage('run', 'types')
    expect(await manage('run', 'start')).toContain('[3,5,7,9]')

    const main = join(app, 'src/main.ts')
    writeFileSync(main, readFileSync(main, 'utf8').replace('const width: 4', 'const width: 5'))
    await expect(manage('run', 'types')).rejects.toMatchObject({ stdout: expect.stringContaining(`Type '4' is not assignable to type '5'`) })
  }, 180_000)
})

function binOf(name: string, command = name): string {
  // Past the exports of the package, which do not have its command.
  const manifest = join(repository, 'node_modules', name, 'package.json')
  const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin: Readonly<Record<string, string>> }
  return join(manifest, '..', bin[command] ?? '')
}

/** What the npm beside this Node.js, or the one that runs the tests, prints. */
function npmOf(cwd: string, args: readonly string[]): Promise<string> {
  const script = process.env['npm_execpath']
  if (script?.endsWith('npm-cli.js')) return runNode(cwd, script, args)
  return run('npm', args, { cwd, env: environment(), shell: process.platform === 'win32' }).then(({ stdout }) => stdout)
}

async function runNode(cwd: string, script: string, args: readonly string[]): Promise<string> {
  return (await run(process.execPath, [script, ...args], { cwd, env: environment() })).stdout
}

// A package manager that runs the tests tells its settings to its children: the ones here have their own.
function environment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^npm_(?!config_registry$)|^NODE_OPTIONS$/i.test(name))
  return { ...Object.fromEntries(own), YARN_IGNORE_PATH: '1', ...(registry !== undefined && { YARN_NPM_REGISTRY_SERVER: registry }) }
}

let registry: string | undefined
beforeAll(async () => {
  // Yarn does not read npm's settings.
  registry = (await npmOf(folder, ['config', 'get', 'registry'])).trim()
})
