import type { Plugin } from 'vite'
import { rollupPlugin } from './bundler/rollup-plugin.ts'
import { viteAdapter } from './bundler/vite.ts'
import type { Options } from './options/types.ts'

/**
 * The plugin for Vite 6 and newer, and for Vitest.
 *
 * @example
 *   ;```ts
 *   // vite.config.ts
 *   import onnx from 'unplugin-onnx/vite'
 *   export default { plugins: [onnx()] }
 *   ```
 */
const onnx: (options?: Options) => Plugin = rollupPlugin('vite', viteAdapter)
export default onnx
