import type { UnpluginInstance } from 'unplugin'
import type { Options } from '../options/types.ts'
import { pluginHooks } from './hooks.ts'

type Instance = UnpluginInstance<Options | undefined, false>

/**
 * The plugin for Rollup, Rolldown or Vite, whose hooks are unplugin's own: it does not wait for the modules of
 * unplugin, which are for other bundlers and take longer to load than a build of few modules.
 */
export function rollupPlugin<F extends 'rollup' | 'rolldown' | 'vite'>(framework: F): Instance[F] {
  const create = (options?: Options): object => {
    const hooks = pluginHooks(options, { framework, versions: {} })
    return { ...hooks, ...hooks[framework] }
  }
  return create as Instance[F]
}
