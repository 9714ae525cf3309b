// One build of the app in the current folder: `bundlers-child.js webpack ours`, or `peer` for the same without the
// plugin. Prints the processor time of the build in milliseconds, without the time to load the bundler and the plugin,
// which does not grow with the app.
import { resolve } from 'node:path'
import { published } from './published.ts'
import { runCompiler } from './run-compiler.ts'

const [, , bundler = '', who] = process.argv
const root = process.cwd()
const dir = resolve(`dist-${bundler}-${who}`)
const main = resolve('main.js')
let started = { cpu: process.cpuUsage(), wall: performance.now() }

/** A build with each bundler, for Node.js and without extras. Only the requested bundler is loaded. */
const builds: Readonly<Record<string, () => Promise<unknown>>> = {
  async vite() {
    const { build } = await import('vite')
    await build({
      root,
      configFile: false,
      logLevel: 'silent',
      plugins: await plugins(published('vite')),
      build: { ssr: main, outDir: dir },
    })
  },
  async rollup() {
    const { rollup } = await import('rollup')
    const bundle = await rollup({ input: main, plugins: await plugins(published('rollup')) })
    await bundle.write({ dir })
  },
  async rolldown() {
    const { rolldown } = await import('rolldown')
    const bundle = await rolldown({ input: main, plugins: await plugins(published('rolldown')) })
    await bundle.write({ dir })
  },
  async webpack() {
    const { default: webpack } = await import('webpack')
    const compiler = webpack({ ...pack, plugins: await plugins(published('webpack')) })
    await runCompiler(compiler)
  },
  async rspack() {
    const { rspack } = await import('@rspack/core')
    const compiler = rspack({ ...pack, plugins: await plugins(published('rspack')) })
    await runCompiler(compiler)
  },
  async esbuild() {
    const { build } = await import('esbuild')
    await build({
      entryPoints: [main],
      bundle: true,
      platform: 'node',
      outdir: dir,
      logLevel: 'silent',
      plugins: await plugins(published('esbuild')),
    })
  },
  async farm() {
    const { build } = await import('@farmfe/core')
    const output = { path: dir, targetEnv: 'node' } as const
    await build({
      root,
      clearScreen: false,
      compilation: { input: { main: './main.js' }, output, presetEnv: false, persistentCache: false, progress: false },
      plugins: await plugins(published('farm')),
    })
  },
  // This name exists inside Bun only.
  async bun() {
    const { Bun } = globalThis as unknown as { readonly Bun: { build(options: object): Promise<unknown> } }
    await Bun.build({
      entrypoints: [main],
      target: 'node',
      outdir: dir,
      plugins: await plugins(published('bun')),
    })
  },
}

const pack = {
  mode: 'production',
  context: root,
  target: 'node',
  entry: main,
  output: { path: dir },
  optimization: { minimize: false },
} as const

// Every bundler gets its plugins last: the build starts here.
async function plugins<P>(load: () => Promise<{ readonly default: (options: object) => P }>): Promise<P[]> {
  const found = who === 'ours' ? [(await load()).default({ backends: ['onnxruntime'] })] : []
  started = { cpu: process.cpuUsage(), wall: performance.now() }
  return found
}

await builds[bundler]?.()
const { user, system } = process.cpuUsage(started.cpu)
// esbuild works in its own process, whose processor time Node.js does not report.
console.log(bundler === 'esbuild' ? performance.now() - started.wall : (user + system) / 1000)
// Farm and Rspack leave waiting threads behind.
process.exit()
