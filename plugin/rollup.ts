import { rollupPlugin } from './bundler/rollup-plugin.ts'
import { rollupAdapter } from './bundler/rollup.ts'

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
const onnx: ReturnType<typeof rollupPlugin<'rollup'>> = rollupPlugin('rollup', rollupAdapter)
export default onnx
