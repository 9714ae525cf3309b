import { fileURLToPath } from 'node:url'
import onnx from 'unplugin-onnx/vite'
import { defineConfig } from 'vite'

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  plugins: [onnx()],
  build: { ssr: 'src/main.ts', target: 'node20' },
})
