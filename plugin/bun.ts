import { type Build, type BuildPlugin, buildPlugin } from './bundler/build-plugin.ts'
import { bunAdapter } from './bundler/bun.ts'
import type { Options } from './options/types.ts'

/**
 * The plugin for Bun's bundler, for ES modules.
 *
 * @example
 *   ;```ts
 *   // build.js
 *   import onnx from 'unplugin-onnx/bun'
 *   await Bun.build({ entrypoints: ['src/main.js'], target: 'node', outdir: 'dist', plugins: [onnx()] })
 *   ```
 */
const onnx: (options?: Options) => BuildPlugin<Build> = (options) => buildPlugin('bun', options, bunAdapter)
export default onnx
