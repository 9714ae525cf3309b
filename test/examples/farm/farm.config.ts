import onnx from 'unplugin-onnx/farm'

export default {
  compilation: {
    input: { main: './src/main.ts' },
    output: { path: 'dist', targetEnv: 'node', format: 'esm', entryFilename: '[entryName].js' },
    presetEnv: false,
    persistentCache: false,
  },
  plugins: [onnx({ backends: ['onnxruntime'] })],
}
