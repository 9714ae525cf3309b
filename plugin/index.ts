import { type UnpluginInstance, createUnplugin } from 'unplugin'
import { adapters } from './bundler/adapters.ts'
import { pluginHooks } from './bundler/hooks.ts'
import type { Options } from './options/types.ts'

export { compile, writeModel } from './api.ts'

export type { Compiled, Variant } from './compile/variant.ts'

export type { Options } from './options/types.ts'

/** The plugin for every bundler; import it from the bundler's own entry, such as `unplugin-onnx/vite`. */
export const unpluginOnnx: UnpluginInstance<Options | undefined, false> = createUnplugin((options, { framework }) =>
  pluginHooks(options, adapters[framework]),
)
