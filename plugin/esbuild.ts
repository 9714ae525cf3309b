import type { Plugin } from 'esbuild'
import { buildPlugin } from './bundler/build-plugin.ts'
import { esbuildAdapter } from './bundler/esbuild.ts'
import type { Options } from './options/types.ts'

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
const onnx: (options?: Options) => Plugin = (options) => buildPlugin('esbuild', options, esbuildAdapter)
export default onnx
