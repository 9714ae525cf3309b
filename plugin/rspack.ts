import type { RspackPluginInstance } from '@rspack/core'
import { rspackPlugin } from './bundler/rspack-plugin.ts'
import type { Options } from './options/types.ts'

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
const onnx: (options?: Options) => RspackPluginInstance = rspackPlugin
export default onnx
