import type { Options } from '../options/types.ts'
import type { AdapterFactory } from './adapter.ts'
import { pluginHooks } from './hooks.ts'
import type { OnnxPlugin } from './unplugin.ts'

/**
 * The plugin for Rollup, Rolldown or Vite, whose hooks are the same as unplugin's. It does not load unplugin, whose
 * modules are for other bundlers and take longer to load than a small build.
 */
export function rollupPlugin<Name extends 'rollup' | 'rolldown' | 'vite'>(
  name: Name,
  createAdapter: AdapterFactory,
): OnnxPlugin[Name] {
  const create = (options?: Options): object => {
    const hooks = pluginHooks(options, createAdapter)
    return { ...hooks, ...hooks[name] }
  }
  return create as OnnxPlugin[Name]
}
