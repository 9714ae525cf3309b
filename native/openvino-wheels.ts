import type { Wheel } from './wheel.ts'

/** The OpenVINO that we build and test with, and that `unplugin-onnx setup openvino` installs. */
export const openvinoVersion = '2026.4.1'

const pinned = { name: 'openvino', version: openvinoVersion, python: '3.11' } as const

/** By `${process.platform}-${process.arch}`. */
export const openvinoWheels: Readonly<Record<string, Wheel>> = {
  'linux-x64': {
    ...pinned,
    platform: 'manylinux_2_28_x86_64',
    sha256: '2d22b1da03f7caf74df30e9f6417d0ab2f637e4a38e08e1dcd294d2c37407aaf',
  },
  'linux-arm64': {
    ...pinned,
    platform: 'manylinux_2_35_aarch64',
    sha256: 'bea1eb3733c34ef331adc945da0ccda5937865031139073663be84c517ffda22',
  },
  'darwin-arm64': {
    ...pinned,
    platform: 'macosx_11_0_arm64',
    sha256: 'd3740853691ae4a9003bc3417a4625d848e2cc3251af4b815c59199b38be252a',
  },
  'win32-x64': {
    ...pinned,
    platform: 'win_amd64',
    sha256: 'bfddae6d6d3ad240157b946f180c33d0ddfaaae7487995d929a4e6b4bc12b283',
  },
}

/**
 * Where a file of the wheel goes when it is needed to compile or run ONNX models; undefined for the Python module and
 * the frontends of other frameworks.
 */
export function openvinoLibrary(entry: string): string | undefined {
  const license = /^openvino-[^/]+\.dist-info\/(licenses\/.+)$/.exec(entry)?.[1]
  const name = /^openvino\/libs\/([^/]+)$/.exec(entry)?.[1]
  if (name === undefined) return license
  return /(pytorch|tensorflow|tensorflow_lite|paddle|jax|gguf)_frontend|\.(lib|pc)$/.test(name) ? undefined : name
}

/** The part of `openvinoLibrary` that runs blobs on the CPU: no other devices, and no reader of ONNX. */
export function openvinoCpuRuntime(entry: string): string | undefined {
  const name = openvinoLibrary(entry)
  return name === undefined ||
    /onnx_frontend|intel_(gpu|npu)|auto_plugin|auto_batch|hetero|^cache\.json$|malloc_proxy|debug\./.test(name)
    ? undefined
    : name
}
