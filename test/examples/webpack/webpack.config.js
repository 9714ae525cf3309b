import onnx from 'unplugin-onnx/webpack'

export default {
  mode: 'production',
  target: 'node20',
  entry: { main: './src/main.ts' },
  output: { module: true, filename: '[name].js', library: { type: 'module' }, chunkFormat: 'module' },
  experiments: { outputModule: true },
  module: { rules: [{ test: /\.ts$/, loader: 'esbuild-loader', options: { target: 'es2022' } }] },
  plugins: [onnx({ backends: ['onnxruntime'] })],
}
