import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { freePort } from '../support/free-port.ts'
import { repository } from '../support/python.ts'

export type ServerName = 'kserve' | 'mlserver'

/** A real inference server in a process of its own. */
export interface PythonServer {
  readonly http: string
  readonly grpc: string
  /** Kills the process, without any warning to its clients. */
  kill(): Promise<void>
  /** Starts it again on the same ports. */
  restart(): Promise<void>
}

/** Starts a server with every model of a folder, and waits until it is live. Rejects with its last lines. */
export async function startPythonServer(name: ServerName, python: string, models: string): Promise<PythonServer> {
  const [http, grpc] = [await freePort(), await freePort()]
  const launch = () => launchServer(name, python, { MODELS: models, HTTP_PORT: String(http), GRPC_PORT: String(grpc) })
  let running = await launch()
  return {
    http: `http://127.0.0.1:${http}`,
    grpc: `grpc://127.0.0.1:${grpc}`,
    kill: () => running.kill(),
    async restart() {
      await running.kill()
      running = await launch()
    },
  }
}

type ServerSettings = Readonly<Record<'MODELS' | 'HTTP_PORT' | 'GRPC_PORT', string>>

async function launchServer(name: ServerName, python: string, settings: ServerSettings) {
  const script = join(repository, 'test', 'servers', `serve_${name}.py`)
  const env = { ...process.env, ...settings, PYTHONDONTWRITEBYTECODE: '1' }
  const child = spawn(python, [script], { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => lines.push(String(chunk)))
  const exited = once(child, 'exit')
  const kill = async () => {
    // KServe works in children of its own: the whole group goes.
    if (child.exitCode === null && child.signalCode === null && child.pid) process.kill(-child.pid, 'SIGKILL')
    await exited
  }
  const end = Date.now() + 300_000
  for (;;) {
    if (await live(settings.HTTP_PORT)) return { kill }
    if (child.exitCode !== null || Date.now() > end) {
      await kill()
      throw new Error(`${name} does not start: ${lines.join('').slice(-2000)}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

async function live(port: string): Promise<boolean> {
  const models = `http://127.0.0.1:${port}/v2/models/cls/ready`
  return fetch(models).then(
    ({ ok }) => ok,
    () => false,
  )
}
