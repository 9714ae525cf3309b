import type { Plugin } from 'rolldown'
import { rollupPlugin } from './bundler/rollup-plugin.ts'
import { rollupAdapter } from './bundler/rollup.ts'
import type { Options } from './options/types.ts'

/**
 * The plugin for Rolldown.
 *
 * @example
 *   ;```ts
 *   // rolldown.config.js
 *   import onnx from 'unplugin-onnx/rolldown'
 *   export default { input: 'src/main.js', plugins: [onnx()], output: { dir: 'dist' } }
 *   ```
 */
const onnx: (options?: Options) => Plugin = rollupPlugin('rolldown', rollupAdapter)
export default onnx
