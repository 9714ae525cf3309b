import { defineConfig } from '@rslib/core'
import onnx from 'unplugin-onnx/rspack'

export default defineConfig({
  lib: [{ format: 'esm', dts: true }],
  source: { entry: { main: './src/main.ts' } },
  output: { target: 'node', distPath: 'out/rslib' },
  tools: { rspack: { plugins: [onnx({ backends: ['onnxruntime'] })] } },
})
