// One build of the models in the current folder: `warm-child.js webpack ours`, or `peer` for the bundler's own way to
// copy files.
import { readFile } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { published } from './published.ts'
import { runCompiler } from './run-compiler.ts'

const [, , bundler = '', who] = process.argv
const isOurs = who === 'ours'
const main = resolve('main.js')
const dir = resolve('dist')
const options = { backends: ['onnxruntime'] } as const

const builds: Readonly<Record<string, () => Promise<unknown>>> = {
  async rollup() {
    const { rollup } = await import('rollup')
    const plugin = isOurs ? (await published('rollup')()).default(options) : fileEmitter
    const bundle = await rollup({ input: main, plugins: [plugin], external: /^unplugin-onnx/, logLevel: 'silent' })
    await bundle.write({ dir })
  },
  async webpack() {
    const { default: webpack } = await import('webpack')
    const compiler = webpack({
      mode: 'production',
      target: 'node',
      entry: main,
      output: { path: dir },
      ...(isOurs
        ? { plugins: [(await published('webpack')()).default(options)] }
        : { module: { rules: [{ test: /\.onnx$/, type: 'asset/resource' }] } }),
      infrastructureLogging: { level: 'error' },
    })
    await runCompiler(compiler)
  },
  async esbuild() {
    const { build } = await import('esbuild')
    await build({
      entryPoints: [main],
      bundle: true,
      platform: 'node',
      format: 'esm',
      outdir: dir,
      logLevel: 'silent',
      ...(isOurs ? { plugins: [(await published('esbuild')()).default(options)] } : { loader: { '.onnx': 'file' } }),
    })
  },
}

// Rollup has no loader for files: this is what its plugins for them do.
const fileEmitter = {
  name: 'files',
  async load(this: { emitFile(file: object): string }, id: string) {
    if (!id.endsWith('.onnx')) return null
    const reference = this.emitFile({ type: 'asset', name: basename(id), source: await readFile(id) })
    return `export default import.meta.ROLLUP_FILE_URL_${reference}`
  },
}

await builds[bundler]?.()
