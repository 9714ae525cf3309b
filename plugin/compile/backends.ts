import type { BackendName } from '../../runtime/manifest.ts'
import type { Backend } from '../backend/contract.ts'

/** The registry of backends. Each is loaded on demand: loading modules takes most of a warm build's time. */
export const loaders: Readonly<Record<BackendName, () => Promise<Backend>>> = {
  tensorrt: async () => (await import('../backend/tensorrt/backend.ts')).tensorrt,
  'tensorrt-rtx': async () => (await import('../backend/tensorrt/backend.ts')).tensorrtRtx,
  openvino: async () => (await import('../backend/openvino/backend.ts')).openvino,
  onnxruntime: async () => (await import('../backend/onnxruntime/backend.ts')).onnxruntime,
  wasm: async () => (await import('../backend/web/backend.ts')).wasm,
  webgpu: async () => (await import('../backend/web/backend.ts')).webgpu,
}

/** Every backend. */
export function allBackends(): Promise<readonly Backend[]> {
  return Promise.all(Object.values(loaders).map((load) => load()))
}
