import { unpluginOnnx } from './index.ts'

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
const onnx: typeof unpluginOnnx.webpack = unpluginOnnx.webpack
export default onnx
