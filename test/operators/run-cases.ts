import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Outcome, TestedBackend } from './contract.ts'
import { makeProgram } from './program.ts'

/** Seconds that one case may take. */
const patience = 120

/**
 * Runs cases on a backend, in one process after another: a library that ends its process refuses the case, as it ends a
 * build, and the next process goes on.
 */
export async function runCases(backend: TestedBackend, names: readonly string[]): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = []
  const program = await makeProgram()
  while (outcomes.length < names.length) {
    const before = outcomes.length
    const end = await runBatch(program, { backend, names: names.slice(before) }, (outcome) => outcomes.push(outcome))
    if (outcomes.length === names.length) break
    const name = names[outcomes.length]!
    outcomes.push({ name, operators: [], result: 'refused', step: 'compile', reason: `CRASHED: ${end}` })
  }
  return outcomes
}

async function runBatch(
  program: string,
  job: { readonly backend: TestedBackend; readonly names: readonly string[] },
  report: (outcome: Outcome) => void,
): Promise<string> {
  const child = fork(program, [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  const text: string[] = []
  child.stderr!.on('data', (chunk: Buffer) => text.push(String(chunk)))
  let timer = deadline(child)
  child.on('message', (message: Outcome | 'ready') => {
    clearTimeout(timer)
    timer = deadline(child)
    if (message === 'ready') child.send(job)
    else report(message)
  })
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
  clearTimeout(timer)
  if (code === 1) throw new Error(text.join('').slice(-2000))
  return `the process ended with ${signal ?? code}`
}

function deadline(child: ChildProcess): NodeJS.Timeout {
  return setTimeout(() => child.kill('SIGKILL'), patience * 1000)
}
