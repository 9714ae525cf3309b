import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { tempFolder } from '../support/helpers.ts'
import { type FrameworkApp, installApp, type Layout, packPackage, runIn } from './app.ts'
import { changedAnswers, changedWeight } from './dev.ts'
import { movedAnswers, type Production } from './production.ts'
import { expectedAnswer } from './server.ts'
import type { FrameworkName } from './versions.ts'

const answer = await expectedAnswer()
const changedAnswer = await expectedAnswer(changedWeight)

/** An app whose build has one command and whose dev server has another. */
export interface SimpleFramework extends Layout, Production {
  readonly name: FrameworkName
  readonly build: readonly string[]
  /** The dev server, if it has one: see `DevServer`. */
  readonly dev?: readonly string[]
}

/** Builds the app of a framework, moves its output, calls it, and changes the model of its dev server. */
export function testFramework({ name, build, dev, ...rest }: SimpleFramework): void {
  describe(`the app of ${name}`, () => {
    const folder = tempFolder()
    let app: FrameworkApp
    beforeAll(async () => {
      app = await installApp(name, join(folder, name), { ...rest, tarball: await packPackage(folder) })
    })

    test('the output answers in another folder', async () => {
      await runIn(app, build)
      expect(await movedAnswers(app, rest)).toEqual({ route: answer, page: answer })
    })

    test.runIf(dev)('the dev server takes a changed model into account', async () => {
      expect(await changedAnswers(app, { start: dev ?? [], sources: rest.sources, route: rest.route })).toEqual({
        before: answer,
        after: changedAnswer,
      })
    })
  })
}
