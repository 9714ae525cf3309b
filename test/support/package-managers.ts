import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { bunBinary } from './bun.ts'

export interface PackageManager {
  readonly name: string
  /** Runs the manager in a folder and gives what it printed. */
  run(cwd: string, ...args: readonly string[]): Promise<string>
  readonly install: readonly string[]
  readonly files?: Readonly<Record<string, string>>
  /** The compiler, where TypeScript 7 cannot be it. */
  readonly typescript?: string
  /** What the app's package.json needs besides: docs/deploying.md says why. */
  readonly manifest?: object
  /** The examples that it builds in every run of the tests. */
  readonly examples: readonly string[]
}

const repository = fileURLToPath(new URL('../..', import.meta.url))
const bun = bunBinary() ?? 'bun'

const npm = ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']
const yarn = (linker: string) => ({
  run: byScript('@yarnpkg/cli-dist', 'yarn'),
  install: ['install'],
  files: {
    'yarn.lock': '',
    '.yarnrc.yml': [
      `nodeLinker: ${linker}`,
      'enableScripts: false',
      'enableTelemetry: false',
      'enableImmutableInstalls: false',
      '',
    ].join('\n'),
  },
})

const unpacked = ['oxc-parser', '@farmfe/runtime', '@farmfe/runtime-plugin-import-meta', '@farmfe/runtime-plugin-hmr']
const dependenciesMeta = Object.fromEntries(unpacked.map((name) => [name, { unplugged: true }]))

/** Every package manager, with examples so that each example is built once. */
export const managers: readonly PackageManager[] = [
  { name: 'npm', run: runNpm, install: npm, examples: ['vite', 'rolldown'] },
  // Through the npm at hand: as a dependency, npm 12 would warn every user of Node.js 20.
  {
    name: 'npm 12',
    run: (cwd, ...args) => runNpm(cwd, 'exec', '--yes', '--package=npm@12.1.0', '--', 'npm', ...args),
    install: npm,
    examples: ['rollup'],
  },
  {
    name: 'pnpm',
    run: byScript('pnpm'),
    install: ['install', '--ignore-scripts', '--prefer-offline'],
    examples: ['webpack', 'farm'],
  },
  { name: 'yarn with node_modules', ...yarn('node-modules'), examples: ['rspack'] },
  // TypeScript 7 does not know Plug'n'Play.
  {
    name: `yarn with Plug'n'Play`,
    ...yarn('pnp'),
    typescript: '5.9.3',
    manifest: { dependenciesMeta },
    examples: ['esbuild'],
  },
  {
    name: 'Bun',
    run: (cwd, ...args) => output(cwd, bun, args),
    install: ['install', '--ignore-scripts'],
    examples: ['bun'],
  },
]

/** Runs the npm beside this Node.js, or the one that runs the tests. */
export async function runNpm(cwd: string, ...args: readonly string[]): Promise<string> {
  const script = process.env['npm_execpath']
  if (script?.endsWith('npm-cli.js')) return output(cwd, process.execPath, [script, ...args])
  return output(cwd, 'npm', args, { shell: process.platform === 'win32' })
}

function byScript(name: string, command = name): PackageManager['run'] {
  // Past the exports of the package, which do not have its command.
  const manifest = join(repository, 'node_modules', name, 'package.json')
  const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin: Readonly<Record<string, string>> }
  const script = join(manifest, '..', bin[command] ?? '')
  return async (cwd, ...args) =>
    output(cwd, process.execPath, [script, ...args], {
      env: { YARN_IGNORE_PATH: '1', YARN_NPM_REGISTRY_SERVER: await registry() },
    })
}

async function output(
  cwd: string,
  file: string,
  args: readonly string[],
  { shell = false, env = {} }: { shell?: boolean; env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  return (await promisify(execFile)(file, args, { cwd, shell, env: { ...environment(), ...env } })).stdout
}

// A package manager that runs the tests tells its settings to its children: the ones here have their own.
function environment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^npm_(?!config_registry$)|^NODE_OPTIONS$/i.test(name))
  return { ...Object.fromEntries(own), PATH: [dirname(bun), process.env['PATH']].join(delimiter) }
}

// Yarn does not read npm's settings.
let asked: Promise<string> | undefined
function registry(): Promise<string> {
  asked ??= runNpm(repository, 'config', 'get', 'registry').then((text) => text.trim())
  return asked
}
