import { defineNitroConfig } from 'nitro/config'
import onnx from 'unplugin-onnx/nitro'

export default defineNitroConfig({
  modules: [onnx({ backends: ['onnxruntime'] })],
})
