import { adapters } from './bundler/adapters.ts'
import { onnxPlugin, type OnnxPlugin } from './bundler/unplugin.ts'

export { compile, writeModel } from './api.ts'
export { defineConfig } from './config.ts'

export type { Compiled, Variant } from './compile/variant.ts'

export type { BackendEntry, ServedVariant } from './options/served-types.ts'
export type { Options } from './options/types.ts'

export type { Metric } from './verify/metric.ts'

/** The plugin for every bundler; import it from the bundler's own entry, such as `unplugin-onnx/vite`. */
export const unpluginOnnx: OnnxPlugin = onnxPlugin((name) => adapters[name])
