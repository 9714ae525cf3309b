import { type BunBuild, filteredBuild } from './bundler/bun.ts'
import { unpluginOnnx } from './index.ts'

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
const onnx: typeof unpluginOnnx.bun = (options) => {
  const plugin = unpluginOnnx.bun(options)
  return { ...plugin, setup: (build: BunBuild) => plugin.setup(filteredBuild(build)) }
}
export default onnx
