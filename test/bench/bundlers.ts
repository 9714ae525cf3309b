import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import onnx from 'unplugin-onnx/rolldown'
import { inTurn, runProgram } from './measure.ts'
import { classifier, detector, recogniser, workFolder } from './models.ts'
import type { Row } from './row.ts'

const script = fileURLToPath(new URL('./bundlers-child.js', import.meta.url))
const manyModules = 3000
const rounds = 3

/** The processor time of a build without models by each bundler, beside the same without the plugin; and the bytes that models add to an output. */
export async function bundlersBench(): Promise<readonly Row[]> {
  const app = manyModulesApp()
  const rows: Row[] = []
  for (const [bundler, program] of programs()) {
    const build = async (who: string) => Number((await runProgram(program, [script, bundler, who], app)).output.trim().split('\n').at(-1))
    const times = await inTurn(rounds, () => build('ours'), () => build('peer'))
    rows.push({ name: `${bundler}: build of ${manyModules} modules, no model`, beside: 'the same without the plugin', ...times, unit: 'ms', aim: { of: 'ratio', atMost: 1.05 } })
  }
  return [...rows, await outputSize('a tuned and a portable engine', true, 2.05), await outputSize('one engine', false, 1.05)]
}

// Bun's bundler exists only inside Bun.
function programs(): readonly (readonly [bundler: string, program: string])[] {
  const bundlers = ['vite', 'rollup', 'rolldown', 'webpack', 'rspack', 'esbuild', 'farm']
  const folder = join(dirname(createRequire(import.meta.url).resolve('unplugin-onnx/package.json')), 'node_modules/@oven')
  const bun = (existsSync(folder) ? readdirSync(folder) : []).map((name) => join(folder, name, 'bin', process.platform === 'win32' ? 'bun.exe' : 'bun')).find((file) => existsSync(file))
  return [...bundlers.map((bundler) => [bundler, process.execPath] as const), ...(bun ? [['bun', bun] as const] : [])]
}

function manyModulesApp(): string {
  const folder = join(workFolder, 'many')
  mkdirSync(folder)
  const numbers = Array.from({ length: manyModules }, (_, index) => index)
  for (const index of numbers) writeFileSync(join(folder, `m${index}.js`), `export const value = ${index}\n`)
  writeFileSync(join(folder, 'main.js'), numbers.map((index) => `import { value as v${index} } from './m${index}.js'\nconsole.log(v${index})\n`).join(''))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  return folder
}

async function outputSize(what: string, portable: boolean, atMost: number): Promise<Row> {
  const folder = join(workFolder, portable ? 'sizes' : 'size')
  mkdirSync(folder)
  const models = [detector, recogniser, classifier].map(({ file }) => file)
  writeFileSync(join(folder, 'main.js'), models.map((file, index) => `export { default as m${index} } from ${JSON.stringify(file)}\n`).join(''))
  const bundle = await rolldown({ input: join(folder, 'main.js'), plugins: [onnx({ root: folder, backends: ['onnxruntime'], onnxruntime: { portable }, types: false })], onLog: () => {} })
  await bundle.write({ dir: join(folder, 'dist') })
  await bundle.close()
  const emitted = readdirSync(join(folder, 'dist'), { recursive: true, encoding: 'utf8' }).map((file) => join(folder, 'dist', file))
  return { name: `output with 3 models, ${what} each`, beside: 'the .onnx files', ours: megabytes(emitted), peer: megabytes(models), unit: 'MB', aim: { of: 'ratio', atMost } }
}

function megabytes(files: readonly string[]): number {
  return files.map((file) => statSync(file)).reduce((sum, stats) => sum + (stats.isFile() ? stats.size : 0), 0) / 1e6
}
