/**
 * The plugin for Next.js 16.
 *
 * @example
 *   ;```ts
 *   // next.config.ts
 *   import { withOnnx } from 'unplugin-onnx/next'
 *   export default withOnnx({ output: 'standalone' }, { engine: 'fp16' })
 *   ```
 */
export { withOnnx } from './bundler/next.ts'
