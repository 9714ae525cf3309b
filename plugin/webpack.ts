import type { WebpackPluginInstance } from 'webpack'
import { onnxPlugin } from './bundler/unplugin.ts'
import { webpackAdapter } from './bundler/webpack.ts'
import type { Options } from './options/types.ts'

/**
 * The plugin for webpack 5.
 *
 * @example
 *   ;```ts
 *   // webpack.config.js
 *   import onnx from 'unplugin-onnx/webpack'
 *   export default { target: 'node', entry: './src/main.js', plugins: [onnx()] }
 *   ```
 */
const onnx: (options?: Options) => WebpackPluginInstance = onnxPlugin(() => webpackAdapter).webpack
export default onnx
