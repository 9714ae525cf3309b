import { type BunBuild, bunAdapter, filteredBuild } from './bundler/bun.ts'
import { userFilters } from './bundler/context.ts'
import { onnxPlugin, type OnnxPlugin } from './bundler/unplugin.ts'

const { bun } = onnxPlugin(() => bunAdapter)

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
const onnx: OnnxPlugin['bun'] = (options) => {
  const plugin = bun(options)
  const filters = userFilters(options)
  return { ...plugin, setup: (build: BunBuild) => plugin.setup(filteredBuild(build, filters)) }
}
export default onnx
