import onnx from 'unplugin-onnx/rspack'
import nodeExternals from 'webpack-node-externals'

const bundled = { allowlist: ['linked-model', 'packaged-model'] }

/** Nest leaves every package to Node.js, which cannot load those whose own code imports a model. */
export default ({ externals, output, plugins, ...options }) => ({
  ...options,
  output,
  externals: [nodeExternals(output.module ? { ...bundled, importType: 'module' } : bundled), ...externals.slice(1)],
  plugins: [...plugins, onnx({ backends: ['onnxruntime'] })],
})
