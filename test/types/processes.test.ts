import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { tempFolder } from '../support/helpers.ts'
import { packageRoot, writeProject } from '../support/typed-project.ts'

const wide = { inputs: { x: 'float32[n,4]' }, outputs: { y: 'float32[n,4]' } }
const folder = tempFolder()

test('several processes that write types at once lose none', async () => {
  const names = Array.from({ length: 4 }, (_, index) => `m${index}`)
  const root = join(folder, 'app')
  writeProject(
    root,
    Object.fromEntries(
      names.flatMap((name) => [
        [`${name}.onnx`, wide],
        [`${name}.ts`, ''],
      ]),
    ),
  )
  const script = join(root, 'record.mjs')
  writeFileSync(
    script,
    `
    import { join } from 'node:path'
    import { recordImport } from ${JSON.stringify(new URL('../../dist/plugin/types/write.js', import.meta.url).href)}
    const [root, name] = process.argv.slice(2)
    for (const query of ['fp32', 'fp16', 'int8']) {
      const imported = {
        importer: join(root, name + '.ts'),
        specifier: '@/' + name + '.onnx?engine=' + query,
        file: join(root, name + '.onnx'),
      }
      const { problems } = await recordImport({ root }, imported)
      if (problems.length > 0) throw problems[0]
    }
  `,
  )
  await Promise.all(
    names.map((name) => promisify(execFile)(process.execPath, [script, root, name], { cwd: packageRoot })),
  )
  const modules = readFileSync(join(root, '.unplugin-onnx/ambient.d.ts'), 'utf8').match(/^declare module .*$/gm)
  expect(modules).toEqual(
    names.flatMap((name) =>
      ['fp16', 'fp32', 'int8'].map((query) => `declare module "@/${name}.onnx?engine=${query}" {`),
    ),
  )
  expect(readdirSync(join(root, '.unplugin-onnx'))).toEqual(['ambient.d.ts', 'imports.json'])
})
