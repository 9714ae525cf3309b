import onnx from 'unplugin-onnx/vite'
import { defineConfig } from 'vite'

// One configuration for both builds: the one for the page makes an engine for WebAssembly, the one for the server an
// engine for Node.js.
export default defineConfig({
  plugins: [onnx({ models: { '**/*cls*': { shapes: { x: [1, 3, 48, 192] } } } })],
  oxc: { jsx: { runtime: 'automatic' } },
})
