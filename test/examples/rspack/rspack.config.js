import onnx from 'unplugin-onnx/rspack'

export default {
  mode: 'production',
  target: 'node20',
  entry: { main: './src/main.ts' },
  output: { module: true, filename: '[name].js', library: { type: 'module' }, chunkFormat: 'module' },
  module: {
    rules: [
      {
        test: /\.ts$/,
        loader: 'builtin:swc-loader',
        options: { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } },
      },
    ],
  },
  plugins: [onnx({ backends: ['onnxruntime'] })],
}
