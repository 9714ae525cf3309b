import { nuxtModule, type NuxtModule } from './bundler/nuxt.ts'

/**
 * The module for Nuxt 4. Its options are under `onnx`.
 *
 * @example
 *   ;```ts
 *   // nuxt.config.ts
 *   export default defineNuxtConfig({ modules: ['unplugin-onnx/nuxt'], onnx: { engine: 'fp16' } })
 *   ```
 */
const onnx: NuxtModule = nuxtModule
export default onnx
