/**
 * One small app per framework, as its user has it. app.ts installs, builds and moves an app, server.ts starts it and
 * calls it over HTTP, versions.ts pins what is installed, and the folders of apps/ are the sources. Each file
 * `*.spec.ts` is the driver of one framework.
 */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, renameSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { writeFiles } from '../support/app.ts'
import { affineModel } from '../support/models.ts'
import { nodeBinary } from '../support/node-binary.ts'
import { runNpm } from '../support/package-managers.ts'
import { packed } from '../support/packed.ts'
import { nodeVersion, versions, type FrameworkName } from './versions.ts'

export interface FrameworkApp {
  readonly folder: string
  readonly node: string
}

/** How an app of a framework is laid out. */
export interface Layout {
  /** The folder that gets the modules that all apps share, `infer.js` and its model. */
  readonly sources: string
  /** Whether its framework is a development dependency, as in SvelteKit, whose adapter bundles those. */
  readonly isDevDependency?: boolean
}

const repository = fileURLToPath(new URL('../..', import.meta.url))

/** The models of an app by the name in its answers, with their weights. */
export const weights = { own: 2, packaged: 5, linked: 6 } as const

/** Packs this package into a folder, as npm would publish it. */
export async function packPackage(folder: string): Promise<string> {
  return packed(folder)
}

/** Writes the app of a framework into a folder and installs it from npm. */
export async function installApp(
  name: FrameworkName,
  folder: string,
  { sources, isDevDependency = false, tarball }: Layout & { readonly tarball: string },
): Promise<FrameworkApp> {
  cpSync(join(repository, 'test/frameworks/apps', name), folder, { recursive: true })
  writeFiles(folder, {
    'package.json': JSON.stringify({
      name: 'app',
      private: true,
      type: 'module',
      workspaces: ['packages/*'],
      // A known version of ONNX Runtime, and this package as it would be published.
      dependencies: {
        ...(isDevDependency ? {} : versions[name]),
        'linked-model': '1.0.0',
        'onnxruntime-node': '1.30.0',
        'packaged-model': await packModelPackage(folder),
        'unplugin-onnx': `file:${tarball}`,
      },
      ...(isDevDependency && { devDependencies: versions[name] }),
    }),
    [`${sources}/infer.js`]: infer,
    [`${sources}/model.onnx`]: affineModel({ weight: weights.own }),
  })
  writeModelPackage(join(folder, 'packages/linked-model'), weights.linked)
  await runNpm(folder, 'install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error')
  return { folder, node: await nodeBinary(nodeVersion, folder) }
}

/** Runs a command of the app, a script in node_modules/.bin, and gives what it printed. Rejects with that text. */
export async function runIn({ folder, node }: FrameworkApp, command: readonly string[], env = {}): Promise<string> {
  const [bin = '', ...args] = command
  const run = promisify(execFile)(node, [join(folder, 'node_modules/.bin', bin), ...args], {
    cwd: folder,
    env: appEnvironment(env),
    maxBuffer: 64 * 1024 * 1024,
  })
  return run.then(
    ({ stdout, stderr }) => stdout + stderr,
    (error: { stdout: string; stderr: string; message: string }) => {
      throw new Error([error.message, error.stdout, error.stderr].join('\n'))
    },
  )
}

/** Moves a part of the app to another folder, where nothing else of the app is, and returns its new place. */
export function moveAway({ folder }: FrameworkApp, output: string): string {
  const target = join(`${folder} moved`, 'deployed')
  mkdirSync(dirname(target), { recursive: true })
  renameSync(join(folder, output), target)
  return target
}

/** The environment of a user's shell: nothing of the test runner's, and no telemetry. */
export function appEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(?:npm_|VITEST|VITE_|NODE_|CI$|TEST$)/i.test(name))
  const telemetry = { NEXT_TELEMETRY_DISABLED: '1', NUXT_TELEMETRY_DISABLED: '1', ASTRO_TELEMETRY_DISABLED: '1' }
  return { ...Object.fromEntries(own), ...telemetry, ...env }
}

const infer = `
import own from './model.onnx?engine=fp32'
import { model as linked } from 'linked-model'
import { model as packaged } from 'packaged-model'

/** What each model gives for four numbers, written as '1,2,3,4'. */
export async function infer(text) {
  const data = Float32Array.from(text.split(','), Number)
  const results = {}
  for (const [name, model] of Object.entries({ own, packaged, linked })) {
    const { y } = await model.infer({ x: { data, dims: [1, 4] } })
    results[name] = [...y.data]
  }
  return results
}
`

/** A package as another author publishes it: its own code imports its model. */
function writeModelPackage(folder: string, weight: number): void {
  writeFiles(folder, {
    'package.json': JSON.stringify({
      name: basename(folder),
      version: '1.0.0',
      type: 'module',
      exports: './index.js',
      dependencies: { 'unplugin-onnx': '*' },
    }),
    'index.js': `
import model from './model.onnx?engine=fp32'
export { model }
`,
    'model.onnx': affineModel({ weight }),
  })
}

async function packModelPackage(folder: string): Promise<string> {
  const source = join(folder, 'vendor/packaged-model')
  writeModelPackage(source, weights.packaged)
  return `file:vendor/packaged-model/${(await runNpm(source, 'pack', '--silent')).trim()}`
}
