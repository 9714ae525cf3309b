import { spawn } from 'node:child_process'
import { once } from 'node:events'
import ort from 'onnxruntime-node'
import { freePort } from '../support/free-port.ts'
import { affineModel } from '../support/models.ts'
import { appEnvironment, weights, type FrameworkApp } from './app.ts'

/** What each model gives, by its name. */
export type Answer = Readonly<Record<string, readonly number[]>>

/** A running server of an app. */
export interface AppServer {
  /** What a route or a page says that each model gives. Rejects with the log of the server if it says nothing. */
  answer(path: string): Promise<Answer>
  stop(): Promise<void>
}

/** Starts a script of Node.js that serves on the port in the environment, or in place of 'PORT' in its arguments. */
export async function startServer(
  { node }: Pick<FrameworkApp, 'node'>,
  args: readonly string[],
  { cwd, env = {} }: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv },
): Promise<AppServer> {
  const port = String(await freePort())
  const child = spawn(
    node,
    args.map((text) => text.replace('PORT', port)),
    {
      cwd,
      env: appEnvironment({ PORT: port, HOST: '127.0.0.1', ...env }),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    },
  )
  let lines = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (lines += text))
  const exited = once(child, 'exit')
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  return {
    async answer(path) {
      const end = Date.now() + 120_000
      for (;;) {
        const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(30_000) }).catch(
          () => undefined,
        )
        if (answer !== undefined) return readAnswer(await answer.text(), () => lines)
        if (hasEnded() || Date.now() > end) throw new Error(`no answer to ${path}: ${lines}`)
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    },
    async stop() {
      // Clusters and dev servers work in children of their own: the whole group goes.
      if (!hasEnded() && child.pid) process.kill(-child.pid, 'SIGKILL')
      await exited
    },
  }
}

// JSON by itself, or in HTML.
function readAnswer(text: string, log: () => string): Answer {
  const [json] = /\{\s*"own":[^}]*\}/.exec(text.replaceAll('&quot;', '"')) ?? []
  if (json === undefined) throw new Error(`${text}\n${log()}`)
  return JSON.parse(json) as Answer
}

/** What the models of an app give for '1,2,3,4', by ONNX Runtime itself. `own` replaces the weight of the app's own. */
export async function expectedAnswer(own: number = weights.own): Promise<Answer> {
  const results: Record<string, readonly number[]> = {}
  for (const [name, weight] of Object.entries({ ...weights, own })) {
    const session = await ort.InferenceSession.create(affineModel({ weight }))
    const outputs = await session.run({ x: new ort.Tensor('float32', Float32Array.of(1, 2, 3, 4), [1, 4]) })
    results[name] = [...(outputs['y']!.data as Float32Array)]
  }
  return results
}
