import childProcess from 'node:child_process'
import { syncBuiltinESMExports } from 'node:module'
import workerThreads from 'node:worker_threads'

/**
 * Keeps unit tests fast: in them a process, a worker thread and native code of engines are errors. Tests that need one
 * belong to another project of vitest.config.ts. The parser and the formatter of sources are native too, and allowed.
 */
function refuse(what: string): () => never {
  return () => {
    throw new Error(`a unit test may not ${what}: see the projects in vitest.config.ts`)
  }
}

for (const name of ['exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync'] as const)
  Object.assign(childProcess, { [name]: refuse('start a process') })
Object.assign(workerThreads, { Worker: refuse('start a worker thread') })
syncBuiltinESMExports()

const open = process.dlopen
process.dlopen = (module, file, ...rest) => {
  if (!/[\\/](?:@oxc-parser|@oxfmt)[\\/]/.test(file)) refuse(`load ${file}`)()
  return open.call(process, module, file, ...rest)
}
