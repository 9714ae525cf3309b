import { readFileSync, writeFileSync } from 'node:fs'
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

describe.each(['sveltekit', 'sveltekit-2'] as const)('%s', (name) => {
  let app: FrameworkApp
  beforeAll(async () => {
    app = await installApp(name, join(folder, name), { sources: 'src/lib', isDevDependency: true, tarball })
  })

  test('the output of adapter-node answers in another folder, with the runtime that standalone copied', async () => {
    await runIn(app, ['vite', 'build'])
    expect(await movedAnswers(app, { output: 'build', start: ['index.js'], route: '/infer' })).toEqual({
      route: answer,
      page: answer,
    })
  })

  test.runIf(name === 'sveltekit-2')('adapter-auto chooses adapter-node, whose output answers', async () => {
    const config = join(app.folder, 'svelte.config.js')
    const text = readFileSync(config, 'utf8')
    try {
      writeFileSync(config, text.replace('adapter-node', 'adapter-auto'))
      // What it knows a platform with Node.js by.
      const printed = await runIn(app, ['vite', 'build'], { GCP_BUILDPACKS: '1' })
      expect(printed).toContain('@sveltejs/adapter-auto')
      expect(await movedAnswers(app, { output: 'build', start: ['index.js'], route: '/infer' })).toEqual({
        route: answer,
        page: answer,
      })
    } finally {
      writeFileSync(config, text)
    }
  })

  test('the dev server takes a changed model into account', async () => {
    expect(
      await changedAnswers(app, {
        start: ['vite', 'dev', '--port', 'PORT', '--host', '127.0.0.1'],
        sources: 'src/lib',
        route: '/infer',
      }),
    ).toEqual({ before: answer, after: changedAnswer })
  })
})
