import type { Variant } from './variant.ts'

/**
 * An engine of a page as ONNX Runtime of Node.js runs it: the file is the same, and so are the numbers of its kernels
 * up to rounding. Other engines are returned as they are.
 */
export function nativeTwin(variant: Variant): Variant {
  const { backend, requires } = variant
  if (backend !== 'wasm' && backend !== 'webgpu') return variant
  const { version } = requires as Variant<'wasm'>['requires']
  return { ...variant, backend: 'onnxruntime', requires: { version, arch: 'any', layout: 0 } }
}
