import node from '@astrojs/node'
import { defineConfig, passthroughImageService } from 'astro/config'
import onnx from 'unplugin-onnx/astro'

export default defineConfig({
  output: 'server',
  adapter: node({ mode: 'standalone' }),
  integrations: [onnx({ backends: ['onnxruntime'], standalone: true })],
  image: { service: passthroughImageService() },
  // Astro leaves packages to Node.js: bundled, the output runs without node_modules.
  vite: { ssr: { noExternal: process.argv.includes('build') || undefined } },
})
