import type { BackendName } from '../../runtime/manifest.ts'
import type { Backend } from './contract.ts'

// Each with the modules it needs, loaded when it is asked for: most of a warm build's time is loading modules.
export const loaders: Readonly<Record<BackendName, () => Promise<Backend>>> = {
  tensorrt: async () => (await import('./tensorrt.ts')).tensorrt,
  'tensorrt-rtx': async () => (await import('./tensorrt.ts')).tensorrtRtx,
  openvino: async () => (await import('./openvino.ts')).openvino,
  onnxruntime: async () => (await import('./onnxruntime.ts')).onnxruntime,
}

/** Every backend, in the order that `'auto'` prefers them: the CPU that needs nothing else comes last. */
export function allBackends(): Promise<readonly Backend[]> {
  return Promise.all(Object.values(loaders).map((load) => load()))
}
