import { createUnplugin, type UnpluginInstance } from 'unplugin'
import type { Options } from '../options/types.ts'
import type { AdapterFactory, BundlerName } from './adapter.ts'
import { pluginHooks } from './hooks.ts'

/** The plugin for every bundler of unplugin. */
export type OnnxPlugin = UnpluginInstance<Options | undefined, false>

/** The plugin with the adapter that `adapterOf` chooses. An entry for one bundler loads only its own adapter. */
export function onnxPlugin(adapterOf: (name: BundlerName) => AdapterFactory): OnnxPlugin {
  return createUnplugin((options, { framework }) => pluginHooks(options, adapterOf(framework)))
}
