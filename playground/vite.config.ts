import { fileURLToPath } from 'node:url'
import type { Options } from 'unplugin-onnx'
import onnx from 'unplugin-onnx/vite'
import { defineConfig } from 'vite'

// `ENGINE=fp32 npm run playground` compares: fp32, fp16, bf16, int8-weights or int8.
const engine = (process.env['ENGINE'] ?? 'fp16') as NonNullable<Options['engine']>

// The images are samples for the detector. Samples for the other two models would be lines of text, which would have to
// be cut out first.
const calibration = {
  images: 'images/*.png',
  preprocess: {
    layout: 'nchw',
    channels: 'bgr',
    size: [640, 640],
    scale: 1 / 255,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  },
} as const

// TensorRT needs bounds for the sizes of images: detection is limited to 960 pixels, lines are 48 pixels high.
const profile = (min: readonly number[], opt: readonly number[], max: readonly number[]) => [
  { min: { x: min }, opt: { x: opt }, max: { x: max } },
]

// `npm run playground -- --page` builds the app for browsers.
export default defineConfig(({ mode }) => ({
  root: fileURLToPath(new URL('.', import.meta.url)),
  plugins: [
    onnx({
      web: { isolate: true },
      engine: engine === 'int8' ? 'int8-weights' : engine,
      models: {
        '**/ch_PP-OCRv4_det_infer.onnx': {
          engine,
          calibration,
          verify: engine === 'int8' ? { cosine: 0.95 } : {},
          profiles: profile([1, 3, 32, 32], [1, 3, 640, 640], [1, 3, 960, 960]),
        },
        '**/ch_ppocr_mobile_v2.0_cls_infer.onnx': {
          profiles: profile([1, 3, 48, 192], [8, 3, 48, 192], [64, 3, 48, 192]),
        },
        '**/ch_PP-OCRv4_rec_infer.onnx': { profiles: profile([1, 3, 48, 320], [1, 3, 48, 320], [1, 3, 48, 3200]) },
      },
    }),
  ],
  build: mode === 'page' ? { outDir: 'dist/page' } : { ssr: 'src/main.ts', target: 'node20' },
}))
