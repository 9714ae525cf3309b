import esbuild from 'rollup-plugin-esbuild'
import onnx from 'unplugin-onnx/rollup'

export default {
  input: 'src/main.ts',
  output: { dir: 'dist' },
  plugins: [onnx({ backends: ['onnxruntime'] }), esbuild({ target: 'es2022' })],
}
