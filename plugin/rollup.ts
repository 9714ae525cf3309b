import type { Plugin } from 'rollup'
import { rollupPlugin } from './bundler/rollup-plugin.ts'
import { rollupAdapter } from './bundler/rollup.ts'
import type { Options } from './options/types.ts'

/**
 * The plugin for Rollup 4.
 *
 * @example
 *   ;```ts
 *   // rollup.config.js
 *   import onnx from 'unplugin-onnx/rollup'
 *   export default { input: 'src/main.js', plugins: [onnx()], output: { dir: 'dist' } }
 *   ```
 */
const onnx: (options?: Options) => Plugin = rollupPlugin('rollup', rollupAdapter)
export default onnx
