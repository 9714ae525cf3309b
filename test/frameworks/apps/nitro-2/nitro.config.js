import onnx from 'unplugin-onnx/nitro'

export default defineNitroConfig({
  compatibilityDate: '2026-10-01',
  modules: [onnx({ backends: ['onnxruntime'] })],
})
