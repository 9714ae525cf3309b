import { reactRouter } from '@react-router/dev/vite'
import onnx from 'unplugin-onnx/vite'

export default { plugins: [onnx({ backends: ['onnxruntime'] }), reactRouter()] }
