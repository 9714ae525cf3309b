import { defineConfig } from '@rsbuild/core'
import onnx from 'unplugin-onnx/rspack'

export default defineConfig({
  source: { entry: { main: './src/main.ts' } },
  output: { target: 'node', module: true, distPath: 'out/rsbuild', filename: { js: '[name].mjs' } },
  tools: { rspack: { output: { library: { type: 'module' } }, plugins: [onnx({ backends: ['onnxruntime'] })] } },
})
