import { rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type FrameworkApp, moveAway } from './app.ts'
import { type Answer, startServer } from './server.ts'

/** How the output of an app starts. */
export interface Production {
  /** The folder of the output, which is all that is moved. */
  readonly output: string
  /** Arguments of Node.js in the moved folder. */
  readonly start: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  /** Whether the output needs the packages of the app, which the framework leaves external. */
  readonly needsPackages?: boolean
  /** The route that answers with what each model gives. */
  readonly route: string
  /** A page whose HTML shows the same; without one, the route is called twice. */
  readonly page?: string
}

/** Moves the output of an app to a folder of its own, starts it there, and returns what it answers. */
export async function movedAnswers(
  app: FrameworkApp,
  production: Production,
): Promise<{ readonly route: Answer; readonly page: Answer }> {
  const { output, start, env, needsPackages = false, route, page } = production
  const moved = moveAway(app, output)
  if (needsPackages) symlinkSync(join(app.folder, 'node_modules'), join(moved, 'node_modules'), 'junction')
  const server = await startServer(app, start, { cwd: moved, env: { NODE_ENV: 'production', ...env } })
  const question = `${route}?x=1,2,3,4`
  try {
    return { route: await server.answer(question), page: await server.answer(page ?? question) }
  } finally {
    await server.stop()
    rmSync(dirname(moved), { recursive: true, force: true })
  }
}
