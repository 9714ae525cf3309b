import analog from '@analogjs/platform'
import onnx from 'unplugin-onnx/nitro'
import { defineConfig } from 'vite'

const models = onnx({ backends: ['onnxruntime'] })

export default defineConfig({
  resolve: { mainFields: ['module'] },
  plugins: [analog({ nitro: { modules: [models] } })],
})
