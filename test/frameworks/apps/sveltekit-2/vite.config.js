import { sveltekit } from '@sveltejs/kit/vite'
import onnx from 'unplugin-onnx/vite'

export default { plugins: [onnx({ backends: ['onnxruntime'], standalone: true }), sveltekit()] }
