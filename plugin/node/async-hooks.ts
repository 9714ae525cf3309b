import type { InitializeHook, LoadHook, ResolveHook } from 'node:module'
import type { MessagePort } from 'node:worker_threads'
import { isLikelyModel } from './likely-model.ts'

// Hooks for module.register(), in the thread of Node.js for hooks: they serve import alone. The rest is loaded by the
// first model.

let port: MessagePort | undefined

/** `port` receives each model that is loaded. */
export const initialize: InitializeHook<{ readonly port: MessagePort }> = (data) => {
  port = data.port
}

export const resolve: ResolveHook = async (specifier, context, next) => {
  if (!isLikelyModel(specifier)) return next(specifier, context)
  const { resolveModelImport } = await import('./async-model.ts')
  return resolveModelImport(specifier, context, next)
}

export const load: LoadHook = async (url, context, next) => {
  if (!url.startsWith('unplugin-onnx')) return next(url, context)
  const { loadModelImport } = await import('./async-model.ts')
  return loadModelImport(port, url, context, next)
}
