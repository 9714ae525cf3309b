import { spawn } from 'node:child_process'

/**
 * Runs A and B in turn, so that a busy machine slows both; the first round warms up and does not count.
 */
export async function inTurn(
  rounds: number,
  a: () => Promise<number>,
  b: () => Promise<number>,
): Promise<{ ours: number; peer: number }> {
  const ours: number[] = []
  const peer: number[] = []
  for (let round = 0; round <= rounds; round++) {
    const fromA = await a()
    const fromB = await b()
    if (round === 0) continue
    ours.push(fromA)
    peer.push(fromB)
  }
  return { ours: median(ours), peer: median(peer) }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Milliseconds that a call takes. */
export async function timed(call: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await call()
  return performance.now() - start
}

/** How late a 1 ms timer fires during `count` calls: the 99th percentile in milliseconds. */
export async function loopDelayDuring(count: number, run: () => Promise<unknown>): Promise<number> {
  const delays: number[] = []
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    delays.push(Math.max(0, now - last - 1))
    last = now
  }, 1)
  for (let call = 0; call < count; call++) await run()
  clearInterval(timer)
  return delays.sort((a, b) => a - b)[Math.floor(delays.length * 0.99)] ?? 0
}

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
