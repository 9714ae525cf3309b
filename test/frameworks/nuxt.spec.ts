import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { tempFolder } from '../support/helpers.ts'
import { type FrameworkApp, installApp, packPackage, runIn } from './app.ts'
import { changedAnswers, changedWeight } from './dev.ts'
import { movedAnswers } from './production.ts'
import { expectedAnswer } from './server.ts'

const answer = await expectedAnswer()
const changedAnswer = await expectedAnswer(changedWeight)
const folder = tempFolder()
let app: FrameworkApp
beforeAll(async () => {
  app = await installApp('nuxt', join(folder, 'nuxt'), {
    sources: 'server/models',
    tarball: await packPackage(folder),
  })
})

test.each(['node-server', 'node-cluster'])('the output of the preset %s answers in another folder', async (preset) => {
  await runIn(app, ['nuxt', 'build', '--preset', preset])
  expect(
    await movedAnswers(app, { output: '.output', start: ['server/index.mjs'], route: '/api/infer', page: '/' }),
  ).toEqual({ route: answer, page: answer })
})

test('a preset without Node.js stops the build and is named', async () => {
  await expect(runIn(app, ['nuxt', 'build', '--preset', 'cloudflare_module'])).rejects.toThrow(
    /import of model\.onnx: the preset 'cloudflare[_-]module' of Nitro/,
  )
  rmSync(join(app.folder, '.output'), { recursive: true, force: true })
})

test('the dev server takes a changed model into account', async () => {
  expect(
    await changedAnswers(app, {
      start: ['nuxt', 'dev', '--port', 'PORT', '--host', '127.0.0.1'],
      sources: 'server/models',
      route: '/api/infer',
    }),
  ).toEqual({ before: answer, after: changedAnswer })
})
