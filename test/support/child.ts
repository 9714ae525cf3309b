import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'

/** A Node.js process that a test talks to by messages. */
export interface Child {
  readonly process: ChildProcess
  /** Sends a message and resolves with the next one that comes back; rejects when the process ends instead. */
  ask<T>(message: unknown): Promise<T>
  /** Sends a message; nothing is expected back. */
  tell(message: unknown): void
  /** Stops all its threads, as Ctrl-Z and a closed lid do. POSIX only. */
  suspend(): void
  resume(): void
  /** Resolves when it is gone. */
  kill(): Promise<void>
}

/** Starts a module in a process of its own; resolves when it has sent its first message. */
export async function startChild(
  module: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Child> {
  const child = fork(module, args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, ...env },
    execArgv: [],
  })
  const ended = new Promise<never>((_, reject) => {
    child.once('exit', (code, signal) => reject(new Error(`the process ended with ${signal ?? code}`)))
  })
  ended.catch(() => {})
  const next = () => Promise.race([once(child, 'message'), ended]).then(([message]) => message as never)
  await next()
  return {
    process: child,
    ask(message) {
      const answer = next()
      child.send(message as object)
      return answer
    },
    tell: (message) => void child.send(message as object),
    suspend: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const left = once(child, 'exit')
      child.kill('SIGKILL')
      await left
    },
  }
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly output: string
}

/** Runs a program to its end; one that takes longer than `patience` seconds is killed. */
export async function runProgram(file: string, args: readonly string[], patience = 30): Promise<Exit> {
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: patience * 1000,
    killSignal: 'SIGKILL',
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { code, signal, output }
}
