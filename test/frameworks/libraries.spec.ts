import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { tempFolder } from '../support/helpers.ts'
import { type FrameworkApp, installApp, packPackage, runIn } from './app.ts'
import { expectedAnswer } from './server.ts'

const folder = tempFolder()
let app: FrameworkApp
beforeAll(async () => {
  app = await installApp('libraries', join(folder, 'libraries'), {
    sources: 'src/models',
    isDevDependency: true,
    tarball: await packPackage(folder),
  })
})

const builders = [
  { builder: 'tsdown', command: ['tsdown'], file: 'main.mjs' },
  { builder: 'unbuild', command: ['unbuild'], file: 'main.mjs' },
  { builder: 'rslib', command: ['rslib', 'build'], file: 'main.js' },
  { builder: 'rsbuild', command: ['rsbuild', 'build'], file: 'main.mjs' },
]

const script = `
const { infer } = await import(process.argv[1])
console.log(JSON.stringify(await infer(Float32Array.of(1, 2, 3, 4))))
`

test.each(builders)('a library of $builder runs its models', async ({ builder, command, file }) => {
  await runIn(app, command)
  const output = join(app.folder, 'out', builder, file)
  const { stdout } = await promisify(execFile)(app.node, ['--input-type=module', '--eval', script, output], {
    cwd: folder,
  })
  expect(JSON.parse(stdout)).toEqual((await expectedAnswer())['own'])
})
