import { build } from 'esbuild'
import onnx from 'unplugin-onnx/esbuild'

await build({
  entryPoints: ['src/main.ts'],
  outdir: 'dist',
  bundle: true,
  format: 'esm',
  platform: 'node',
  logLevel: 'info',
  plugins: [onnx({ backends: ['onnxruntime'] })],
})
