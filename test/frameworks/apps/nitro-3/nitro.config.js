import { defineConfig } from 'nitro'
import onnx from 'unplugin-onnx/nitro'

export default defineConfig({
  serverDir: 'server',
  modules: [onnx({ backends: ['onnxruntime'] })],
})
