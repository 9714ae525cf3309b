import { nitroModule, type NitroModule } from './bundler/nitro.ts'
import type { Options } from './options/types.ts'

/**
 * The module for Nitro 2 and 3.
 *
 * @example
 *   ;```ts
 *   // nitro.config.ts
 *   import onnx from 'unplugin-onnx/nitro'
 *   export default defineConfig({ modules: [onnx()] })
 *   ```
 */
const onnx: (options?: Options) => NitroModule = nitroModule
export default onnx
