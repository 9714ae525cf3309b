import { unpluginOnnx } from './index.ts'

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
const onnx: typeof unpluginOnnx.esbuild = unpluginOnnx.esbuild
export default onnx
