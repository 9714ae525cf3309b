import { tanstackStart } from '@tanstack/react-start/plugin/vite'
import viteReact from '@vitejs/plugin-react'
import onnx from 'unplugin-onnx/vite'

export default { plugins: [onnx({ backends: ['onnxruntime'] }), tanstackStart(), viteReact()] }
