import type { Options } from './options/types.ts'

/**
 * The options of `unplugin-onnx.config.ts`, with their types. Returns them as they are.
 *
 * @example
 *   ;```ts
 *   // unplugin-onnx.config.ts
 *   import { defineConfig } from 'unplugin-onnx/config'
 *   export default defineConfig({ engine: 'fp16' })
 *   ```
 */
export function defineConfig(options: Options): Options {
  return options
}
