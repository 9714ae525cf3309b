import { fileURLToPath } from 'node:url'
import onnx from 'unplugin-onnx/vite'
import type { Options } from 'unplugin-onnx'
import { defineConfig } from 'vite'

// `ENGINE=fp32 npm run playground` compares: fp32, fp16, bf16, int8-weights or int8.
const engine = (process.env['ENGINE'] ?? 'fp16') as NonNullable<Options['engine']>

// The images themselves say what the detector sees. Lines of text to calibrate the other two with would have to be cut out first.
const calibration = {
  images: 'images/*.png',
  method: 'entropy',
  preprocess: { layout: 'nchw', size: [640, 640], scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
} as const

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  plugins: [onnx({
    engine: engine === 'int8' ? 'int8-weights' : engine,
    models: { '**/ch_PP-OCRv4_det_infer.onnx': { engine, calibration, verify: engine === 'int8' ? { cosine: 0.95 } : {} } },
  })],
  build: { ssr: 'src/main.ts', target: 'node20' },
})
