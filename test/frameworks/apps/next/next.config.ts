import type { NextConfig } from 'next'
import { withOnnx } from 'unplugin-onnx/next'

const config: NextConfig = { output: 'standalone' }

export default withOnnx(config, { backends: ['onnxruntime'] })
