import onnx from 'unplugin-onnx/vite'

export default { plugins: [onnx({ backends: ['onnxruntime', 'wasm'] })] }
