import { describe, expect, test } from 'vitest'
import { backendsFor, targetOf } from '../../plugin/options/build-target.ts'
import type { BackendName } from '../../runtime/manifest.ts'

describe('the backends of a build', () => {
  test.each<[Parameters<typeof backendsFor>[0], 'auto' | readonly BackendName[], readonly BackendName[]]>([
    ['node', 'auto', ['tensorrt', 'tensorrt-rtx', 'openvino', 'onnxruntime']],
    ['browser', 'auto', ['wasm']],
    ['browser with WebGPU', 'auto', ['webgpu', 'wasm']],
    ['node', ['wasm', 'onnxruntime', 'openvino'], ['onnxruntime', 'openvino']],
    ['browser', ['webgpu', 'onnxruntime', 'wasm'], ['wasm']],
    ['browser with WebGPU', ['wasm', 'webgpu'], ['wasm', 'webgpu']],
  ])('for %s, of %j, are %j', (target, wanted, names) => {
    expect(backendsFor(target, wanted, 'pose.onnx')).toEqual(names)
  })

  test.each<[Parameters<typeof backendsFor>[0], BackendName, RegExp]>([
    ['node', 'wasm', /^pose\.onnx: the backends of a build for Node\.js: .*received wasm\. Add 'onnxruntime'/],
    ['browser', 'openvino', /a build for browsers: expected some of wasm, received openvino\. Add 'wasm'/],
    ['browser', 'webgpu', /received webgpu\. .*'web\.webgpu'/],
  ])('for %s are never only %s', (target, name, message) => {
    expect(() => backendsFor(target, [name], 'pose.onnx')).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_TARGET', message: expect.stringMatching(message) }),
    )
  })

  test('follow the side and the flavour of the library', () => {
    expect(targetOf('node', { webgpu: 'jspi' })).toBe('node')
    expect(targetOf('browser', { webgpu: false })).toBe('browser')
    expect(targetOf('browser', { webgpu: 'asyncify' })).toBe('browser with WebGPU')
  })
})
