export default defineNuxtConfig({
  compatibilityDate: '2026-10-01',
  // The page answers from a server component, which Vite bundles before Nitro does.
  experimental: { componentIslands: true },
  modules: ['unplugin-onnx/nuxt'],
  onnx: { backends: ['onnxruntime'] },
})
