import { defineBuildConfig } from 'unbuild'
import onnx from 'unplugin-onnx/rollup'

export default defineBuildConfig({
  entries: ['src/main'],
  declaration: true,
  outDir: 'out/unbuild',
  rollup: { emitCJS: false },
  hooks: {
    'rollup:options': (_, options) => {
      options.plugins = [onnx({ backends: ['onnxruntime'] }), options.plugins]
    },
  },
})
