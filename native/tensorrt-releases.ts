import type { MavenArtifact } from './maven.ts'

const redist = { group: 'org.bytedeco', name: 'tensorrt', classifier: 'linux-x86_64-redist' } as const

/** A release of TensorRT's libraries for Linux x64, with the version that the library reports. */
export interface TensorRtRelease {
  readonly version: string
  readonly artifact: MavenArtifact
}

/** The releases that `unplugin-onnx setup tensorrt` installs, newest first: one of each major version. */
export const installableReleases: readonly [TensorRtRelease, TensorRtRelease] = [
  {
    version: '11.2.1.2',
    artifact: {
      ...redist,
      version: '11.2-1.5.14',
      bytes: 556_440_161,
      sha256: '909dea6c768a0db60ab53d76d9f089c78cada1b55ad5d3d78b308b140f669f6d',
    },
  },
  {
    version: '10.15.1.29',
    artifact: {
      ...redist,
      version: '10.15-1.5.13',
      bytes: 533_640_349,
      sha256: '8543a6bda95c5d42141d409e1b74024b444e96334a3815d53997cc4ec3cfce83',
    },
  },
]

/** The releases that tests open: the above, and the oldest of TensorRT 10 in Maven Central. */
export const tensorrtReleases: readonly TensorRtRelease[] = [
  ...installableReleases,
  {
    version: '10.6.0.26',
    artifact: {
      ...redist,
      version: '10.6-1.5.11',
      bytes: 1_090_347_946,
      sha256: 'e7979693541f996bc284335b05f5e890a82b8b3aba50d680e1343a139cf291c4',
    },
  },
]

/**
 * Where a file of such a jar goes: the library, its ONNX parser and its plugins. What only a build on a GPU needs, the
 * builder resources, is left out unless `whole`.
 */
export function tensorrtLibrary(entry: string, whole = true): string | undefined {
  const name = /^org\/bytedeco\/tensorrt\/[^/]+\/(lib[^/]+\.so[.\d]*)$/.exec(entry)?.[1]
  if (name === undefined || (!whole && !/^lib(nvinfer|nvinfer_plugin|nvonnxparser)\.so/.test(name))) return undefined
  return `lib/${name}`
}
