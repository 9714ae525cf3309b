import { rollupPlugin } from './bundler/rollup-plugin.ts'
import { rollupAdapter } from './bundler/rollup.ts'

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
const onnx: ReturnType<typeof rollupPlugin<'rolldown'>> = rollupPlugin('rolldown', rollupAdapter)
export default onnx
