import { rspackPlugin } from './bundler/rspack-plugin.ts'
import type { OnnxPlugin } from './bundler/unplugin.ts'

/**
 * The plugin for Rspack 1 and 2.
 *
 * @example
 *   ;```ts
 *   // rspack.config.js
 *   import onnx from 'unplugin-onnx/rspack'
 *   export default { target: 'node', entry: './src/main.js', plugins: [onnx()] }
 *   ```
 */
const onnx: OnnxPlugin['rspack'] = rspackPlugin
export default onnx
