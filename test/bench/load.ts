import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { publishedPackage } from './build.ts'
import { runNode } from './measure.ts'
import { workFolder } from './models.ts'
import type { Row } from './row.ts'

/** What the plugin, the command and the runtime cost before they do anything. */
export async function loadBench(): Promise<readonly Row[]> {
  const folder = join(workFolder, 'load')
  mkdirSync(folder)
  const script = (name: string, code: string): string => {
    const file = join(folder, `${name}.mjs`)
    writeFileSync(file, code)
    return file
  }
  const empty = script('empty', 'export {}\n')
  const command = join(publishedPackage, 'dist/plugin/cli.js')
  return [
    await added(`import of the plugin's entry for Vite`, [script('vite', importing('plugin/vite.js'))], [empty], 12),
    await added(
      `import of the plugin's entry for esbuild`,
      [script('esbuild', importing('plugin/esbuild.js'))],
      [empty],
      12,
    ),
    await added('import of the runtime', [script('runtime', importing('runtime/index.js'))], [empty], 5),
    await added('unplugin-onnx --help', [command, '--help'], [empty], 35),
  ]
}

function importing(entry: string): string {
  return `import ${JSON.stringify(join(publishedPackage, 'dist', entry))}\n`
}

async function added(name: string, ours: readonly string[], peer: readonly string[], atMost: number): Promise<Row> {
  const times = await inTurn(
    15,
    () => run(ours),
    () => run(peer),
  )
  return { name, beside: 'an empty module', ...times, unit: 'ms', aim: { of: 'difference', atMost } }
}

async function run([file = '', ...args]: readonly string[]): Promise<number> {
  return (await runNode(file, args)).milliseconds
}
