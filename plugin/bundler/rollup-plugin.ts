import type { UnpluginInstance } from 'unplugin'
import type { Options } from '../options/types.ts'
import type { AdapterFactory } from './adapter.ts'
import { pluginHooks } from './hooks.ts'

type Instance = UnpluginInstance<Options | undefined, false>

/**
 * The plugin for Rollup, Rolldown or Vite, whose hooks are the same as unplugin's. It does not load unplugin, whose
 * modules are for other bundlers and take longer to load than a small build.
 */
export function rollupPlugin<Name extends 'rollup' | 'rolldown' | 'vite'>(
  name: Name,
  createAdapter: AdapterFactory,
): Instance[Name] {
  const create = (options?: Options): object => {
    const hooks = pluginHooks(options, createAdapter)
    return { ...hooks, ...hooks[name] }
  }
  return create as Instance[Name]
}
