import { unpluginOnnx } from './index.ts'

/**
 * The plugin for Vite 6 and newer, and for Vitest.
 *
 * @example
 * ```ts
 * // vite.config.ts
 * import onnx from 'unplugin-onnx/vite'
 * export default { plugins: [onnx()] }
 * ```
 */
const onnx: typeof unpluginOnnx.vite = unpluginOnnx.vite
export default onnx
