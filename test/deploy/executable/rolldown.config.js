import onnx from 'unplugin-onnx/rolldown'

export default {
  input: 'src/main.js',
  output: {
    dir: 'dist',
    format: 'cjs',
    entryFileNames: '[name].cjs',
    // The require() of an executable knows Node's own modules only; this one finds what lies beside the executable.
    banner: `require = require('node:module').createRequire(__filename)`,
  },
  platform: 'node',
  plugins: [onnx({ backends: ['onnxruntime'], standalone: true })],
}
