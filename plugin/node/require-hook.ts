import Module, { createRequire } from 'node:module'
import { isLikelyModel } from './likely-model.ts'

/** Serves require() where Node.js has no module.registerHooks(). The rest is loaded by the first model. */
export function hookRequire(): void {
  const loader = Module as unknown as Loader
  const loadNext = loader._load
  const require = createRequire(import.meta.url)
  loader._load = function (request, parent, isMain) {
    if (typeof request === 'string' && isLikelyModel(request)) {
      const { requireModel } = require('./require-model.js') as typeof import('./require-model.ts')
      const model = requireModel(request, parent?.filename)
      if (model) return model
    }
    return loadNext.call(this, request, parent, isMain)
  }
}

interface Loader {
  _load(
    this: unknown,
    request: unknown,
    parent: { readonly filename?: string | null } | undefined,
    isMain: boolean,
  ): unknown
}
