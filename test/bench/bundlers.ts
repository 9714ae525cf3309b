import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { bunBinary } from '../support/bun.ts'
import { runProgram } from './measure.ts'
import { workFolder } from './models.ts'
import type { Row } from './row.ts'

const script = fileURLToPath(new URL('./bundlers-child.js', import.meta.url))
const manyModules = 3000
// Quick builds vary between runs by more than the plugin could add: they need more rounds for a stable median.
const rounds = { slow: 3, quick: 15 }
const slow: ReadonlySet<string> = new Set(['rollup', 'webpack'])

/** The processor time of a build without models with each bundler, compared with the same without the plugin. */
export async function bundlersBench(): Promise<readonly Row[]> {
  const app = manyModulesApp()
  const rows: Row[] = []
  for (const [bundler, program] of programs()) {
    const build = async (who: string) =>
      Number((await runProgram(program, [script, bundler, who], app)).output.trim().split('\n').at(-1))
    const times = await inTurn(
      slow.has(bundler) ? rounds.slow : rounds.quick,
      () => build('ours'),
      () => build('peer'),
    )
    rows.push({
      name: `${bundler}: build of ${manyModules} modules, no model`,
      beside: 'the same without the plugin',
      ...times,
      unit: 'ms',
      aim: { of: 'ratio', atMost: 1.02 },
    })
  }
  return rows
}

// Bun's bundler exists only inside Bun.
function programs(): readonly (readonly [bundler: string, program: string])[] {
  const bun = bunBinary()
  const bundlers = ['vite', 'rollup', 'rolldown', 'webpack', 'rspack', 'esbuild', 'farm']
  return [...bundlers.map((bundler) => [bundler, process.execPath] as const), ...(bun ? [['bun', bun] as const] : [])]
}

function manyModulesApp(): string {
  const folder = join(workFolder, 'many')
  mkdirSync(folder)
  const numbers = Array.from({ length: manyModules }, (_, index) => index)
  for (const index of numbers) writeFileSync(join(folder, `m${index}.js`), `export const value = ${index}\n`)
  writeFileSync(
    join(folder, 'main.js'),
    numbers.map((index) => `import { value as v${index} } from './m${index}.js'\nconsole.log(v${index})\n`).join(''),
  )
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  return folder
}
