import { readdirSync } from 'node:fs'
import path from 'node:path'
import { tensorrtRtxVersion, type TensorRtFlavour } from '../../native/tensorrt-wheels.ts'
import { findLibrary, setupFolder, type LibraryPattern, type MissingLibrary, type Place } from '../library.ts'

/** Name of the folder that `unplugin-onnx setup tensorrt-rtx` unpacks into; see `setupFolder`. */
export const tensorrtRtxSetup: string = `tensorrt-rtx-${tensorrtRtxVersion}`

export interface TensorRtLibrary {
  readonly file: string
  /** The ONNX parser's library in the same folder; '' when there is none. Only builds need it. */
  readonly parser: string
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
  const found = findLibrary(patternOf(flavour, 'engine'), placesOf(flavour, option))
  if ('file' in found) return { file: found.file, parser: parserNextTo(flavour, found.file) }
  const hint =
    flavour === 'tensorrt-rtx'
      ? `Run \`npx unplugin-onnx setup tensorrt-rtx\`, or set ${variable} to a folder that holds ${product}`
      : `Install ${product} and set ${variable} to its folder`
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

const files: Readonly<
  Record<TensorRtFlavour, Readonly<Record<'engine' | 'parser', readonly [linux: RegExp, windows: RegExp]>>>
> = {
  'tensorrt-rtx': {
    engine: [/^libtensorrt_rtx\.so(\.\d+)*$/, /^tensorrt_rtx_\d+_\d+\.dll$/i],
    parser: [/^libtensorrt_onnxparser_rtx\.so(\.\d+)*$/, /^tensorrt_onnxparser_rtx_\d+_\d+\.dll$/i],
  },
  tensorrt: {
    engine: [/^libnvinfer\.so(\.\d+)*$/, /^nvinfer_\d+\.dll$/i],
    parser: [/^libnvonnxparser\.so(\.\d+)*$/, /^nvonnxparser_\d+\.dll$/i],
  },
}

function patternOf(flavour: TensorRtFlavour, kind: 'engine' | 'parser'): LibraryPattern {
  const [linux, windows] = files[flavour][kind]
  return { file: process.platform === 'win32' ? windows : linux, folders }
}

function parserNextTo(flavour: TensorRtFlavour, library: string): string {
  const folder = path.dirname(library)
  const name = readdirSync(folder)
    .sort()
    .find((entry) => patternOf(flavour, 'parser').file.test(entry))
  return name === undefined ? '' : path.join(folder, name)
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
    ...(flavour === 'tensorrt-rtx'
      ? [{ name: 'the folder of `unplugin-onnx setup`', path: setupFolder(tensorrtRtxSetup) }]
      : []),
    { name: 'CUDA_PATH', path: CUDA_PATH || undefined },
    ...(searchPath ?? '')
      .split(path.delimiter)
      .filter(Boolean)
      .map((folder) => ({ name: process.platform === 'win32' ? 'PATH' : 'LD_LIBRARY_PATH', path: folder })),
    ...(systemFolders[process.platform] ?? []).map((folder) => ({ name: 'system', path: folder })),
  ]
}
