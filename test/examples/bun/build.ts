import onnx from 'unplugin-onnx/bun'

await Bun.build({
  entrypoints: ['src/main.ts'],
  outdir: 'dist',
  target: 'node',
  format: 'esm',
  plugins: [onnx({ backends: ['onnxruntime'] })],
})
