import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { writeFiles } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { type FrameworkApp, installApp, packPackage, runIn } from './app.ts'
import { movedAnswers } from './production.ts'
import { expectedAnswer } from './server.ts'

const answer = await expectedAnswer()
const folder = tempFolder()
let app: FrameworkApp
beforeAll(async () => {
  app = await installApp('nest', join(folder, 'nest'), { sources: 'src/models', tarball: await packPackage(folder) })
})

// Nest's webpack builder refuses apps that are ES modules.
const builders = [
  { builder: 'rspack', type: 'module' },
  { builder: 'rspack', type: 'commonjs' },
  { builder: 'webpack', type: 'commonjs' },
]

test.each(builders)('the output of $builder as $type answers in another folder', async ({ builder, type }) => {
  await setUp(builder, type)
  await runIn(app, ['nest', 'build'])
  const start = ['main.js']
  const answers = await movedAnswers(app, { output: 'dist', start, needsPackages: true, route: '/infer' })
  expect(answers).toEqual({ route: answer, page: answer })
})

async function setUp(builder: string, type: string): Promise<void> {
  const manifest = join(app.folder, 'package.json')
  const options = { configPath: `${builder}.config.mjs` }
  writeFiles(app.folder, {
    'package.json': (await readFile(manifest, 'utf8')).replace(/"type":"\w+"/, `"type":"${type}"`),
    'nest-cli.json': JSON.stringify({ compilerOptions: { builder: { type: builder, options } } }),
    'src/models/package.json': '{ "type": "module" }',
    // In the moved folder nothing else says which kind of modules they are.
    'dist/package.json': JSON.stringify({ type }),
  })
}
