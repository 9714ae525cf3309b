import { parentPort } from 'node:worker_threads'
import { recordError } from '../../runtime/errors.ts'
import type { ThreadReply } from './compile-sync.ts'
import type { NodeImport } from './model-url.ts'

// A thread that compiles for a thread that waits: `import` and `require()` of Node.js are synchronous since it has
// `module.registerHooks()`. compile-sync.ts is the other side, and compile-guard.ts is between them.

parentPort?.on('message', async (item: NodeImport) => {
  const { reply, finish } = await compile(item)
  parentPort?.postMessage(reply, [])
  await finish?.()
})

async function compile(item: NodeImport): Promise<{ reply: ThreadReply; finish?: () => Promise<void> }> {
  try {
    const { compileModule, finishCompilation } = await import('./compile-module.ts')
    const module = await compileModule(item)
    // What fails here costs the next start some time.
    return { reply: { module }, finish: () => finishCompilation(item, module).catch(() => {}) }
  } catch (error) {
    return { reply: { error: recordError(error, 'COMPILE_FAILED') } }
  }
}
