import { onnxPlugin, type OnnxPlugin } from './bundler/unplugin.ts'
import { webpackAdapter } from './bundler/webpack.ts'

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
const onnx: OnnxPlugin['webpack'] = onnxPlugin(() => webpackAdapter).webpack
export default onnx
