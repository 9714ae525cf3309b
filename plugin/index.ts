import { type UnpluginInstance, createUnplugin } from 'unplugin'
import type { Options } from './options.ts'
import { pluginHooks } from './plugin.ts'

export { compile, writeModel } from './build.ts'

export type { Compiled, Variant } from './compile/variant.ts'

export type { Options } from './options.ts'

/** The plugin for every bundler; import it from the bundler's own entry, such as `unplugin-onnx/vite`. */
export const unpluginOnnx: UnpluginInstance<Options | undefined, false> = createUnplugin(pluginHooks)
