import { rollupPlugin } from './bundler/rollup-plugin.ts'
import { viteAdapter } from './bundler/vite.ts'
import type { Options } from './options/types.ts'

/** An integration of Astro, in the part of its terms that is used here. */
export interface AstroIntegration {
  readonly name: string
  readonly hooks: {
    'astro:config:setup'(setup: { updateConfig(config: { vite: { plugins: object[] } }): unknown }): void
  }
}

/**
 * The integration for Astro 7, for pages and endpoints that are rendered on demand or while Astro builds.
 *
 * @example
 *   ;```ts
 *   // astro.config.mjs
 *   import onnx from 'unplugin-onnx/astro'
 *   export default defineConfig({ adapter: node({ mode: 'standalone' }), integrations: [onnx()] })
 *   ```
 */
export default function onnx(options?: Options): AstroIntegration {
  return {
    name: 'unplugin-onnx',
    hooks: {
      'astro:config:setup'({ updateConfig }) {
        updateConfig({ vite: { plugins: [rollupPlugin('vite', viteAdapter)(options) as object] } })
      },
    },
  }
}
