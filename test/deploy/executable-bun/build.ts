import onnx from 'unplugin-onnx/bun'

await Bun.build({
  entrypoints: ['src/main.js'],
  outdir: 'dist',
  target: 'node',
  format: 'esm',
  plugins: [onnx({ backends: ['onnxruntime'], standalone: true })],
})
// Native libraries and the worker must be files: the executable holds Bun, and starts what lies beside it.
await Bun.build({
  entrypoints: ['src/launcher.ts'],
  outdir: 'dist',
  compile: { outfile: 'app', autoloadPackageJson: true },
})
