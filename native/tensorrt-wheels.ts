import type { Wheel } from './wheel.ts'

/** The TensorRT-RTX that `unplugin-onnx setup tensorrt-rtx` installs. */
export const tensorrtRtxVersion = '1.7.1.116'

/**
 * The ABI families that have addons, by the version of the library, newest first. TensorRT-RTX changes its ABI with
 * every minor version. TensorRT keeps it within a major version and only adds to it: native/src/tensorrt/compat.h has
 * the functions that older releases lack.
 */
export const tensorrtFamilies = [
  { addon: 'tensorrt_rtx_1_7', flavour: 'tensorrt-rtx', major: 1, minor: 7 },
  { addon: 'tensorrt_rtx_1_6', flavour: 'tensorrt-rtx', major: 1, minor: 6 },
  { addon: 'tensorrt_rtx_1_5', flavour: 'tensorrt-rtx', major: 1, minor: 5 },
  { addon: 'tensorrt_11', flavour: 'tensorrt', major: 11, minor: 0 },
  { addon: 'tensorrt_10', flavour: 'tensorrt', major: 10, minor: 0 },
] as const

export type TensorRtFamily = (typeof tensorrtFamilies)[number]
export type TensorRtFlavour = TensorRtFamily['flavour']
export type TensorRtAddonName = TensorRtFamily['addon']

/** The family of a library's version, such as '1.7.1.116'; undefined for a version without an addon. */
export function tensorrtFamily(flavour: TensorRtFlavour, version: string): TensorRtFamily | undefined {
  const [major, minor = 0] = version.split('.').map(Number)
  return tensorrtFamilies.find(
    (family) =>
      family.flavour === flavour &&
      family.major === major &&
      (flavour === 'tensorrt' ? minor >= family.minor : minor === family.minor),
  )
}

/** The versions that can be used, for a message: '1.7, 1.6 or 1.5'. */
export function tensorrtVersions(flavour: TensorRtFlavour): string {
  const names = tensorrtFamilies
    .filter((family) => family.flavour === flavour)
    .map(({ major, minor }) => (flavour === 'tensorrt' ? `${major}` : `${major}.${minor}`))
  return names.join(', ').replace(/, ([^,]+)$/, ' or $1')
}

const rtx = { name: 'tensorrt-rtx-cu13-libs', version: tensorrtRtxVersion, python: '3.11' } as const

/** By `${process.platform}-${process.arch}`. */
export const tensorrtRtxWheels: Readonly<Record<string, Wheel>> = {
  'linux-x64': {
    ...rtx,
    platform: 'manylinux_2_28_x86_64',
    sha256: 'e3fd45fed001240d63304e77a2d4006319b839994237cb294b6e7ad72acaabcd',
  },
  'linux-arm64': {
    ...rtx,
    platform: 'manylinux_2_35_aarch64',
    sha256: 'ec8b6cb95a8ea61e31d544dbc5039d35219b311999f92c518a3889aaae74359c',
  },
  'win32-x64': {
    ...rtx,
    platform: 'win_amd64',
    sha256: '3f0bc38ffe0b755e9de672da7b9ed3c05ddfd2538160c36af2a1e0994508c940',
  },
}

/** Older releases for tests: one for each of the other families. Linux x64. */
export const olderRtxWheels: readonly Wheel[] = [
  {
    ...rtx,
    version: '1.6.1.120',
    platform: 'manylinux_2_28_x86_64',
    sha256: 'cb972965c8bcd58e2cdb805eb872c69fb90abdf98356b71942d9a2f8a10220cf',
  },
  {
    ...rtx,
    version: '1.5.0.114',
    platform: 'manylinux_2_28_x86_64',
    sha256: '4d6f534f82b701e66f3a2bdade528e65670add4ad5d3a28cc010a1ae2abc5a60',
  },
]

/**
 * Where a file of the wheel goes when it is needed: the library, its ONNX parser, and the license, which must stay with
 * them; undefined for all others.
 */
export function tensorrtRtxLibrary(entry: string): string | undefined {
  if (/\/LICENSE\.txt$/i.test(entry)) return 'LICENSE.txt'
  const library = /^tensorrt_rtx_libs\/([^/]+\.(?:so(?:\.\d+)*|dll))$/.exec(entry)?.[1]
  return library && `lib/${library}`
}
