import onnx from 'unplugin-onnx/rolldown'

export default {
  input: 'src/handler.js',
  output: { dir: 'dist' },
  platform: 'node',
  plugins: [onnx({ backends: ['onnxruntime'] })],
}
