import { spawn } from 'node:child_process'
import { open } from 'node:fs/promises'

/**
 * The environment of measured processes: this machine's, without settings that make Node.js and Rust libraries do extra
 * work. The certificates that Node.js 20 reads at its start, and the stack traces of Rolldown's errors, once cost more
 * than what was measured.
 */
export function childEnvironment(): NodeJS.ProcessEnv {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:NODE|RUST)_/.test(name)))
  // Off on both sides: it takes onnxruntime-node 50 ms of each start.
  return { ...env, ORT_DISABLE_TELEMETRY: '1' }
}

/** Runs a Node.js script to its end. Returns its standard output and the milliseconds from spawn to exit. */
export function runNode(file: string, args: readonly string[], cwd?: string): Promise<Outcome> {
  return runProgram(process.execPath, [file, ...args], cwd)
}

/** Runs any program to its end, as `runNode` does. */
export function runProgram(program: string, args: readonly string[], cwd?: string): Promise<Outcome> {
  const start = performance.now()
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: childEnvironment(),
    ...(cwd && { cwd }),
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve({ output, milliseconds: performance.now() - start })
      else reject(new Error(`${program} ${args.join(' ')} exited with code ${code}`))
    })
  })
}

/** The output of a program, and the time that it took. */
export interface Outcome {
  readonly output: string
  readonly milliseconds: number
}

/** Reads a file piece by piece. */
export async function readWhole(file: string): Promise<void> {
  const handle = await open(file)
  const piece = Buffer.allocUnsafe(1 << 20)
  while ((await handle.read(piece, 0, piece.length)).bytesRead > 0);
  await handle.close()
}
