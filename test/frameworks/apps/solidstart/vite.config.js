import { solidStart } from '@solidjs/start/config'
import { nitro } from 'nitro/vite'
import onnx from 'unplugin-onnx/vite'

export default { plugins: [onnx({ backends: ['onnxruntime'], standalone: true }), solidStart(), nitro()] }
