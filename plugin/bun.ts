import { buildPlugin } from './bundler/build-plugin.ts'
import { bunAdapter } from './bundler/bun.ts'
import type { Options } from './options/types.ts'

/** A plugin of Bun. The types of Bun itself are a package that not every app with Bun has. */
export interface BunPlugin {
  readonly name: string
  /** `build` is what Bun gives to plugins. */
  setup(build: never): void
}

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
const onnx: (options?: Options) => BunPlugin = (options) => buildPlugin('bun', options, bunAdapter)
export default onnx
