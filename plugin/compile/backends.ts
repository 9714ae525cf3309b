import type { BackendName } from '../../runtime/manifest.ts'
import type { Backend } from '../backend/contract.ts'

/** The registry of backends. Each is loaded on demand: loading modules takes most of a warm build's time. */
export const loaders: Readonly<Record<BackendName, () => Promise<Backend>>> = {
  tensorrt: async () => (await import('../backend/tensorrt/backend.ts')).tensorrt,
  'tensorrt-rtx': async () => (await import('../backend/tensorrt/backend.ts')).tensorrtRtx,
  openvino: async () => (await import('../backend/openvino/backend.ts')).openvino,
  onnxruntime: async () => (await import('../backend/onnxruntime/backend.ts')).onnxruntime,
}

/** Every backend, in the order that `'auto'` prefers them: the CPU that needs nothing else comes last. */
export function allBackends(): Promise<readonly Backend[]> {
  return Promise.all(Object.values(loaders).map((load) => load()))
}
