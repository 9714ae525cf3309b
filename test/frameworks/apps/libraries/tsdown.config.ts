import { defineConfig } from 'tsdown'
import onnx from 'unplugin-onnx/rolldown'

export default defineConfig({
  entry: 'src/main.ts',
  platform: 'node',
  dts: true,
  outDir: 'out/tsdown',
  plugins: [onnx({ backends: ['onnxruntime'] })],
})
