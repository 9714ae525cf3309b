import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { tempFolder } from '../support/helpers.ts'
import { type FrameworkApp, installApp, packPackage, runIn } from './app.ts'
import { changedAnswers, changedWeight } from './dev.ts'
import { movedAnswers } from './production.ts'
import { expectedAnswer } from './server.ts'

const answer = await expectedAnswer()
const changedAnswer = await expectedAnswer(changedWeight)
const folder = tempFolder()
let tarball: string
beforeAll(async () => {
  tarball = await packPackage(folder)
})

// Nitro 3 minifies for Cloudflare with a package that it does not bring.
const cases = [
  { name: 'nitro-2', bin: 'nitropack', sources: 'models', flags: [] },
  { name: 'nitro-3', bin: 'nitro', sources: 'models', flags: ['--no-minify'] },
] as const

describe.each(cases)('$name', ({ name, bin, sources, flags }) => {
  let app: FrameworkApp
  beforeAll(async () => {
    app = await installApp(name, join(folder, name), { sources, tarball })
  })

  test('the output answers in another folder', async () => {
    await runIn(app, [bin, 'build'])
    expect(await movedAnswers(app, { output: '.output', start: ['server/index.mjs'], route: '/infer' })).toEqual({
      route: answer,
      page: answer,
    })
  })

  test('a preset without Node.js stops the build and is named', async () => {
    await expect(runIn(app, [bin, 'build', '--preset', 'cloudflare_module', ...flags])).rejects.toThrow(
      /import of model\.onnx: the preset 'cloudflare[_-]module' of Nitro/,
    )
  })

  test('the dev server takes a changed model into account', async () => {
    expect(
      await changedAnswers(app, {
        start: [bin, 'dev', '--port', 'PORT', '--host', '127.0.0.1'],
        sources,
        route: '/infer',
      }),
    ).toEqual({ before: answer, after: changedAnswer })
  })
})
