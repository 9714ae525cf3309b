export default defineNuxtConfig({
  compatibilityDate: '2026-10-01',
  modules: ['unplugin-onnx/nuxt'],
  onnx: { backends: ['onnxruntime'] },
})
