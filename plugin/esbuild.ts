import { esbuildAdapter } from './bundler/esbuild.ts'
import { onnxPlugin, type OnnxPlugin } from './bundler/unplugin.ts'

/**
 * The plugin for esbuild.
 *
 * @example
 *   ;```ts
 *   // build.js
 *   import { build } from 'esbuild'
 *   import onnx from 'unplugin-onnx/esbuild'
 *   await build({ entryPoints: ['src/main.js'], bundle: true, platform: 'node', outdir: 'dist', plugins: [onnx()] })
 *   ```
 */
const onnx: OnnxPlugin['esbuild'] = onnxPlugin(() => esbuildAdapter).esbuild
export default onnx
