/**
 * Models in Node.js without a bundler: `node --import unplugin-onnx/node app.js`. An import of a model compiles it
 * through the cache and gives the model object.
 */
import * as nodeModule from 'node:module'
import { MessageChannel } from 'node:worker_threads'
import type { SyncHooks } from './node/sync-hooks.ts'

const { registerHooks } = nodeModule as { readonly registerHooks?: (hooks: SyncHooks) => void }
const mark = Symbol.for('unplugin-onnx/node')

// Once, however often the hook is given: by a flag, by NODE_OPTIONS, by an import.
if (!(mark in globalThis)) {
  Object.assign(globalThis, { [mark]: true })
  if (registerHooks) registerHooks((await import('./node/sync-hooks.ts')).syncHooks)
  else await registerInThread()
}

// Node.js before 22.15 runs hooks of import in a thread of their own.
async function registerInThread(): Promise<void> {
  const [{ keepModel }, { hookRequire }] = await Promise.all([
    import('./node/keep-model.ts'),
    import('./node/require-hook.ts'),
  ])
  hookRequire()
  const { port1, port2 } = new MessageChannel()
  port1.on('message', keepModel).unref()
  nodeModule.register(new URL('./node/async-hooks.js', import.meta.url), {
    data: { port: port2 },
    transferList: [port2],
  })
}
