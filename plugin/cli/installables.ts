import { fetchArtifact } from '../../native/maven.ts'
import { openvinoLibrary, openvinoVersion, openvinoWheels } from '../../native/openvino-wheels.ts'
import { installableReleases, tensorrtLibrary, type TensorRtRelease } from '../../native/tensorrt-releases.ts'
import { tensorrtRtxLibrary, tensorrtRtxVersion, tensorrtRtxWheels } from '../../native/tensorrt-wheels.ts'
import { fetchWheel, type Wheel } from '../../native/wheel.ts'
import { setupFolder } from '../../runtime/library.ts'
import { openvinoSetups } from '../../runtime/openvino/library.ts'
import { tensorrtSetups } from '../../runtime/tensorrt/library.ts'

/** What a download may use, and whom it informs. */
export interface DownloadOptions {
  readonly indexUrl?: string | undefined
  readonly signal?: AbortSignal | undefined
  readonly log: (line: string) => void
}

/** A pinned package of an engine library. */
export interface LibraryPackage {
  /** What `--release` calls it: '10' for TensorRT 10. */
  readonly release: string
  /** Such as 'tensorrt-rtx-cu13-libs 1.7.1.116', with its size where it is large. */
  readonly title: string
  /** The tool of the user that downloads it. */
  readonly tool: 'pip' | 'Maven'
  /** Name of the folder in the user's cache. */
  readonly folder: string
  /** Size of the package when it is unpacked, roughly, in bytes. */
  readonly bytes: number
  /** Downloads the package, verifies its SHA-256 and returns the file. Throws plain Errors. */
  download(options: DownloadOptions): Promise<string>
  /** Where an entry of the package goes inside the folder; undefined leaves it out. */
  place(entry: string): string | undefined
}

/** An engine library that can be set up. */
export interface Installable {
  /** Packages for a machine such as 'linux-x64', newest first. */
  packages(machine: string): readonly LibraryPackage[]
  /** The machines that have packages, for a message. */
  readonly machines: readonly string[]
  /** Names of all folders in the user's cache; the first is that of `--from`. */
  readonly folders: readonly [fromFile: string, ...pinned: string[]]
  /** Where an entry of an archive of the user's goes; undefined leaves it out. */
  placeFromFile(entry: string): string | undefined
  /** What to do when there is no package for this machine. */
  readonly otherwise: string
  readonly license: string
  /** Whether the user must agree to the license before we download. */
  readonly agreement: boolean
}

export const installables = {
  openvino: {
    packages: (machine) => wheelPackage(openvinoVersion, openvinoWheels[machine], openvinoSetups[1], openvinoLibrary),
    machines: Object.keys(openvinoWheels),
    folders: openvinoSetups,
    // Intel's archives have the libraries in other folders than the wheel, under the same names.
    placeFromFile: (entry) =>
      openvinoLibrary(entry) ??
      below('libs', entry, /^((lib)?(openvino|tbb|hwloc)[\w.-]*\.(so[.\d]*|dll|dylib)|cache\.json)$/),
    otherwise: 'Install OpenVINO by other means and set OPENVINO_ROOT to its folder, or give an archive by --from',
    license: 'Apache-2.0',
    agreement: false,
  },
  'tensorrt-rtx': {
    packages: (machine) =>
      wheelPackage(
        tensorrtRtxVersion,
        tensorrtRtxWheels[machine],
        tensorrtSetups['tensorrt-rtx'][1],
        tensorrtRtxLibrary,
      ),
    machines: Object.keys(tensorrtRtxWheels),
    folders: tensorrtSetups['tensorrt-rtx'],
    placeFromFile: (entry) => below('lib', entry, /^(lib)?tensorrt_(onnxparser_)?rtx[\w.]*\.(so[.\d]*|dll)$/),
    otherwise:
      'Install the SDK of TensorRT-RTX and set TENSORRT_RTX_ROOT to its folder, ' +
      `or give NVIDIA's archive by --from`,
    license: `NVIDIA's own license`,
    agreement: true,
  },
  tensorrt: {
    packages: (machine) => (machine === 'linux-x64' ? installableReleases.map((release) => mavenPackage(release)) : []),
    machines: ['linux-x64'],
    folders: tensorrtSetups.tensorrt,
    placeFromFile: (entry) => below('lib', entry, /^(lib)?nv(infer|onnxparser)[\w.]*\.(so[.\d]*|dll)$/),
    otherwise: `Install TensorRT and set TENSORRT_ROOT to its folder, or give NVIDIA's archive by --from`,
    license: `NVIDIA's own license`,
    agreement: true,
  },
} as const satisfies Record<string, Installable>

export type InstallableName = keyof typeof installables

/** The file name of an entry whose name matches, in a folder; undefined for other entries. */
function below(folder: string, entry: string, names: RegExp): string | undefined {
  const name = entry.slice(entry.lastIndexOf('/') + 1)
  return names.test(name) ? `${folder}/${name}` : undefined
}

function wheelPackage(
  version: string,
  wheel: Wheel | undefined,
  folder: string | undefined,
  place: (entry: string) => string | undefined,
): readonly LibraryPackage[] {
  if (wheel === undefined || folder === undefined) return []
  return [
    {
      release: version,
      title: `${wheel.name} ${wheel.version}`,
      tool: 'pip',
      folder,
      bytes: 300e6,
      place,
      download: ({ indexUrl, signal }) =>
        fetchWheel(wheel, {
          downloads: setupFolder('downloads'),
          ...(indexUrl && { indexUrl }),
          ...(signal && { signal }),
        }),
    },
  ]
}

function mavenPackage({ version, artifact }: TensorRtRelease): LibraryPackage {
  const total = megabytes(artifact.bytes)
  return {
    release: version.split('.', 1)[0] ?? version,
    title: `TensorRT ${version}, ${artifact.group}:${artifact.name}:${artifact.version}, ${total} MB`,
    tool: 'Maven',
    folder: `tensorrt-${version}`,
    bytes: 1000e6,
    place: (entry) => tensorrtLibrary(entry),
    download: ({ signal, log }) =>
      fetchArtifact(artifact, {
        repository: mavenRepository(),
        // Maven downloads parts of itself first.
        onProgress: (bytes) => bytes > 0 && log(`${megabytes(bytes)} of ${total} MB`),
        ...(signal && { signal }),
      }),
  }
}

/** Maven's local repository for `setup`: with parts of Maven itself, so it is removed when the library is installed. */
export function mavenRepository(): string {
  return setupFolder('downloads/maven')
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6)
}
