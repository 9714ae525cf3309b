import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { writeFiles } from '../support/app.ts'
import { affineModel } from '../support/models.ts'
import { type FrameworkApp, weights } from './app.ts'
import { type Answer, type AppServer, expectedAnswer, startServer } from './server.ts'

/** A dev server of a framework: a command of the app, with 'PORT' for its port. */
export interface DevServer {
  readonly start: readonly string[]
  /** The folder of the app's own model. */
  readonly sources: string
  readonly route: string
}

/** The weight of the app's own model after its change. */
export const changedWeight = 9

/** Starts a dev server, changes the app's own model, and returns the answers before and after. */
export async function changedAnswers(
  app: FrameworkApp,
  { start: [bin = '', ...args], sources, route }: DevServer,
): Promise<{ readonly before: Answer; readonly after: Answer }> {
  const server = await startServer(app, [join(app.folder, 'node_modules/.bin', bin), ...args], { cwd: app.folder })
  const write = (weight: number) => writeFiles(app.folder, { [join(sources, 'model.onnx')]: affineModel({ weight }) })
  try {
    const before = await answerWithin(server, route, await expectedAnswer())
    write(changedWeight)
    return { before, after: await answerWithin(server, route, await expectedAnswer(changedWeight)) }
  } finally {
    write(weights.own)
    await server.stop()
  }
}

/** The answer that is wanted, or the last one: a server reloads while it optimizes dependencies. */
async function answerWithin(server: AppServer, route: string, wanted: Answer): Promise<Answer> {
  const end = Date.now() + 120_000
  for (;;) {
    const answer = await server.answer(`${route}?x=1,2,3,4`).catch((error: Error) => error)
    const isLate = Date.now() > end
    if (answer instanceof Error && isLate) throw answer
    if (!(answer instanceof Error) && (isLate || isDeepStrictEqual(answer, wanted))) return answer
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}
