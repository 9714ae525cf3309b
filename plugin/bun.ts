import { unpluginOnnx } from './index.ts'

/**
 * The plugin for Bun's bundler, for ES modules.
 *
 * @example
 * ```ts
 * // build.js
 * import onnx from 'unplugin-onnx/bun'
 * await Bun.build({ entrypoints: ['src/main.js'], target: 'node', outdir: 'dist', plugins: [onnx()] })
 * ```
 */
const onnx: typeof unpluginOnnx.bun = unpluginOnnx.bun
export default onnx
