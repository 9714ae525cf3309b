import onnx from 'unplugin-onnx/webpack'
import nodeExternals from 'webpack-node-externals'

/** Nest leaves every package to Node.js, which cannot load those whose own code imports a model. */
export default ({ externals, plugins, ...options }) => ({
  ...options,
  externals: [nodeExternals({ allowlist: ['linked-model', 'packaged-model'] }), ...externals.slice(1)],
  plugins: [...plugins, onnx({ backends: ['onnxruntime'] })],
})
