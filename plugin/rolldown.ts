import { unpluginOnnx } from './index.ts'

/**
 * The plugin for Rolldown.
 *
 * @example
 * ```ts
 * // rolldown.config.js
 * import onnx from 'unplugin-onnx/rolldown'
 * export default { input: 'src/main.js', plugins: [onnx()], output: { dir: 'dist' } }
 * ```
 */
const onnx: typeof unpluginOnnx.rolldown = unpluginOnnx.rolldown
export default onnx
