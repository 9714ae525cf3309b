import type { JsPlugin } from '@farmfe/core'
import { userFilters } from './bundler/context.ts'
import { farmAdapter } from './bundler/farm.ts'
import { onnxPlugin } from './bundler/unplugin.ts'
import type { Options } from './options/types.ts'

const { farm } = onnxPlugin(() => farmAdapter)

/**
 * The plugin for Farm.
 *
 * @example
 *   ;```ts
 *   // farm.config.ts
 *   import onnx from 'unplugin-onnx/farm'
 *   export default {
 *     compilation: { input: { main: './src/main.ts' }, output: { targetEnv: 'node' } },
 *     plugins: [onnx()],
 *   }
 *   ```
 */
const onnx: (options?: Options) => JsPlugin = (options) => {
  const { resolve, load, ...plugin } = farm(options)
  const filters = userFilters(options)
  // unplugin's hooks run for every module of an app, each call across threads: filter for models.
  return {
    ...plugin,
    ...(resolve && { resolve: { ...resolve, filters: { ...resolve.filters, sources: [filters.imports.source] } } }),
    ...(load && { load: { ...load, filters: { ...load.filters, resolvedPaths: [filters.models.source] } } }),
  }
}
export default onnx
