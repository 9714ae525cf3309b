import { type MessagePort, workerData } from 'node:worker_threads'
import { recordError, type ErrorRecord } from '../../runtime/errors.ts'
import type { NodeImport } from './model-url.ts'
import type { CompiledModule } from './start-record.ts'

// A thread that compiles for a thread that waits: `import` and `require()` of Node.js are synchronous since it has
// `module.registerHooks()`. compile-sync.ts is the other side.

/** What the thread receives when it starts. */
export interface ThreadData {
  readonly port: MessagePort
  /** Two numbers: one that wakes the waiting thread, and one that grows as long as this thread lives. */
  readonly signal: Int32Array<SharedArrayBuffer>
}

/** The answer to an import. */
export type ThreadReply = { readonly module: CompiledModule } | { readonly error: ErrorRecord }

const { port, signal } = workerData as ThreadData

setInterval(() => Atomics.add(signal, 1, 1), 500).unref()

port.on('message', async (item: NodeImport) => {
  const finish = await answer(item)
  Atomics.store(signal, 0, 1)
  Atomics.notify(signal, 0)
  await finish?.()
})

async function answer(item: NodeImport): Promise<(() => Promise<void>) | undefined> {
  try {
    const { compileModule, finishCompilation } = await import('./compile-module.ts')
    const module = await compileModule(item)
    port.postMessage({ module } satisfies ThreadReply)
    // What fails here costs the next start some time.
    return () => finishCompilation(item, module).catch(() => {})
  } catch (error) {
    port.postMessage({ error: recordError(error, 'COMPILE_FAILED') } satisfies ThreadReply)
    return undefined
  }
}
