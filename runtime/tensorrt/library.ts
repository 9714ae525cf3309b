import { readdirSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { installableReleases } from '../../native/tensorrt-releases.ts'
import { tensorrtRtxVersion, type TensorRtFlavour } from '../../native/tensorrt-wheels.ts'
import { findLibrary, setupFolder, type LibraryPattern, type MissingLibrary, type Place } from '../library.ts'

/**
 * Names of the folders that `unplugin-onnx setup` unpacks into, in the order that they are searched in: the one of
 * `--from` first, then those of the pinned releases. See `setupFolder`.
 */
export const tensorrtSetups: Readonly<Record<TensorRtFlavour, readonly [fromFile: string, ...pinned: string[]]>> = {
  'tensorrt-rtx': ['tensorrt-rtx-from-file', `tensorrt-rtx-${tensorrtRtxVersion}`],
  tensorrt: ['tensorrt-from-file', ...installableReleases.map(({ version }) => `tensorrt-${version}`)],
}

export interface TensorRtLibrary {
  readonly file: string
  /** The ONNX parser's library, next to it; '' when there is none of the same major version. Only builds need it. */
  readonly parser: string
  /** TensorRT's plugin library, next to it; '' when there is none of the same major version. Few engines need it. */
  readonly plugins: string
}

/** The name of each flavour in messages, the option for its library, and the environment variable for its folder. */
export const tensorrtNames: Readonly<
  Record<TensorRtFlavour, { readonly product: string; readonly option: string; readonly variable: string }>
> = {
  'tensorrt-rtx': { product: 'TensorRT-RTX', option: 'tensorrtRtx.library', variable: 'TENSORRT_RTX_ROOT' },
  tensorrt: { product: 'TensorRT', option: 'tensorrt.library', variable: 'TENSORRT_ROOT' },
}

/**
 * The path of the TensorRT or TensorRT-RTX library, or why there is none. `option` is what the user configured: a
 * folder or the library itself. When the user chose a place (the option, the environment variable), no other is
 * searched. Nothing is opened.
 */
export function findTensorRt(flavour: TensorRtFlavour, option?: string): TensorRtLibrary | MissingLibrary {
  const { product, variable } = tensorrtNames[flavour]
  const found = findLibrary(pattern(flavour), placesOf(flavour, option))
  if ('file' in found)
    return {
      file: found.file,
      parser: companion(flavour, 'parser', found.file),
      plugins: companion(flavour, 'plugins', found.file),
    }
  const hint = `Run \`npx unplugin-onnx setup ${flavour}\`, or set ${variable} to a folder that holds ${product}`
  return { reason: `the library of ${product} was not found`, tried: found.tried, hint }
}

// The folders of NVIDIA's archives and packages. Libraries for Windows are in lib or, since TensorRT-RTX 1.2, in bin.
const folders = [
  'lib',
  'bin',
  'lib64',
  'tensorrt_rtx_libs',
  'tensorrt_libs',
  'targets/x86_64-linux-gnu/lib',
  'targets/aarch64-linux-gnu/lib',
]

type Kind = 'engine' | 'parser' | 'plugins'

const files: Readonly<
  Record<TensorRtFlavour, Readonly<Record<Kind, readonly [linux: RegExp, windows: RegExp] | undefined>>>
> = {
  'tensorrt-rtx': {
    engine: [/^libtensorrt_rtx\.so(\.\d+)*$/, /^tensorrt_rtx_\d+_\d+\.dll$/i],
    parser: [/^libtensorrt_onnxparser_rtx\.so(\.\d+)*$/, /^tensorrt_onnxparser_rtx_\d+_\d+\.dll$/i],
    // TensorRT-RTX has none.
    plugins: undefined,
  },
  tensorrt: {
    engine: [/^libnvinfer\.so(\.\d+)*$/, /^nvinfer_\d+\.dll$/i],
    parser: [/^libnvonnxparser\.so(\.\d+)*$/, /^nvonnxparser_\d+\.dll$/i],
    plugins: [/^libnvinfer_plugin\.so(\.\d+)*$/, /^nvinfer_plugin_\d+\.dll$/i],
  },
}

function pattern(flavour: TensorRtFlavour): LibraryPattern {
  return { file: nameOf(flavour, 'engine') ?? /^$/, folders }
}

function nameOf(flavour: TensorRtFlavour, kind: Kind): RegExp | undefined {
  return files[flavour][kind]?.[process.platform === 'win32' ? 1 : 0]
}

/**
 * The parser or the plugins that belong to a library: next to it and of its major version, since a folder of the system
 * may hold several releases, and a parser calls the library's functions by number. '' when there are none.
 */
function companion(flavour: TensorRtFlavour, kind: Kind, library: string): string {
  const release = releaseOf(library)
  return filesLike(flavour, kind, library).find((file) => release === '' || releaseOf(file) === release) ?? ''
}

/** Parsers next to a library, of whatever version: for a message when none of them belongs to it. */
export function parsersNextTo(flavour: TensorRtFlavour, library: string): readonly string[] {
  return filesLike(flavour, 'parser', library)
}

function filesLike(flavour: TensorRtFlavour, kind: Kind, library: string): readonly string[] {
  const name = nameOf(flavour, kind)
  const folder = path.dirname(library)
  if (name === undefined) return []
  return readdirSync(folder)
    .filter((entry) => name.test(entry))
    .sort()
    .map((entry) => path.join(folder, entry))
}

/** The version in a file name: '10' of libnvinfer.so.10.15.1 or nvinfer_10.dll, '1_7' of tensorrt_rtx_1_7.dll. */
function releaseOf(file: string): string {
  const [, linux, windows = ''] = /\.so\.(\d+)|_(\d+(?:_\d+)*)\.dll$/i.exec(path.basename(realpathSync(file))) ?? []
  return linux ?? windows
}

const systemFolders: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: [
    '/usr/lib/x86_64-linux-gnu',
    '/usr/lib/aarch64-linux-gnu',
    '/usr/lib64',
    '/usr/local/lib',
    '/usr/local/tensorrt',
    '/opt/tensorrt',
  ],
}

function placesOf(flavour: TensorRtFlavour, option: string | undefined): Place[] {
  const { option: name, variable } = tensorrtNames[flavour]
  const { CUDA_PATH, LD_LIBRARY_PATH, PATH } = process.env
  const searchPath = process.platform === 'win32' ? PATH : LD_LIBRARY_PATH
  return [
    { name: `the option ${name}`, path: option, explicit: true },
    { name: variable, path: process.env[variable] || undefined, explicit: true },
    ...tensorrtSetups[flavour].map((name) => ({
      name: 'the folder of `unplugin-onnx setup`',
      path: setupFolder(name),
    })),
    { name: 'CUDA_PATH', path: CUDA_PATH || undefined },
    ...(searchPath ?? '')
      .split(path.delimiter)
      .filter(Boolean)
      .map((folder) => ({ name: process.platform === 'win32' ? 'PATH' : 'LD_LIBRARY_PATH', path: folder })),
    ...(systemFolders[process.platform] ?? []).map((folder) => ({ name: 'system', path: folder })),
  ]
}
