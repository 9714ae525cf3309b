import { createRequire } from 'node:module'
import path from 'node:path'
import { openvinoVersion } from '../../native/openvino-wheels.ts'
import { findLibrary, setupFolder, type LibraryPattern, type MissingLibrary, type Place } from '../library.ts'

/**
 * Names of the folders that `unplugin-onnx setup openvino` unpacks into, in the order that they are searched in: the
 * one of `--from` first, then that of the pinned release. See `setupFolder`.
 */
export const openvinoSetups: readonly [fromFile: string, pinned: string] = [
  'openvino-from-file',
  `openvino-${openvinoVersion}`,
]

/**
 * The path of OpenVINO's C library, or why there is none. `option` is what the user configured: a folder or the library
 * itself. When the user chose a place (the option, the environment variable OPENVINO_ROOT), no other is searched.
 */
export function findOpenVino(option?: string): { readonly file: string } | MissingLibrary {
  const found = findLibrary(patterns[process.platform] ?? linux, placesOf(option))
  if ('file' in found) return found
  return {
    reason: `OpenVINO's C library was not found`,
    tried: found.tried,
    hint: 'Run `npx unplugin-onnx setup openvino`, or set OPENVINO_ROOT to a folder that holds OpenVINO',
  }
}

// 'libs' is the folder in the Python package, the others are those in Intel's archives.
const archives = ['libs', 'lib', 'runtime/lib/intel64', 'runtime/lib/aarch64']
const linux: LibraryPattern = { file: /^libopenvino_c\.so(\.\d+)*$/, folders: archives }
const patterns: Partial<Record<NodeJS.Platform, LibraryPattern>> = {
  linux,
  darwin: {
    file: /^libopenvino_c(\.\d+)*\.dylib$/,
    folders: [...archives, 'runtime/lib/arm64/Release', 'runtime/lib/intel64/Release'],
  },
  win32: { file: /^openvino_c\.dll$/i, folders: [...archives, 'bin', 'runtime/bin/intel64/Release'] },
}

const systemFolders: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: [
    '/usr/lib/x86_64-linux-gnu',
    '/usr/lib/aarch64-linux-gnu',
    '/usr/lib64',
    '/usr/lib',
    '/usr/local/lib',
    '/opt/intel/openvino',
  ],
  darwin: ['/opt/homebrew/lib', '/usr/local/lib', '/opt/intel/openvino'],
  win32: ['C:\\Program Files (x86)\\Intel\\openvino'],
}

function placesOf(option: string | undefined): Place[] {
  const { OPENVINO_ROOT, INTEL_OPENVINO_DIR } = process.env
  const package_ = `@unplugin-onnx/openvino-${process.platform}-${process.arch}`
  return [
    { name: 'the option openvino.library', path: option, explicit: true },
    { name: 'OPENVINO_ROOT', path: OPENVINO_ROOT || undefined, explicit: true },
    { name: `the package ${package_}`, path: packageFolder(package_) },
    ...openvinoSetups.map((name) => ({ name: 'the folder of `unplugin-onnx setup`', path: setupFolder(name) })),
    { name: 'INTEL_OPENVINO_DIR', path: INTEL_OPENVINO_DIR || undefined },
    { name: 'the package openvino-node', path: packageFolder('openvino-node', 'bin') },
    ...(systemFolders[process.platform] ?? []).map((folder) => ({ name: 'system', path: folder })),
  ]
}

function packageFolder(name: string, ...inside: string[]): string | undefined {
  // From the app first, because the app installs these packages.
  for (const from of [path.join(process.cwd(), 'package.json'), import.meta.url]) {
    try {
      return path.join(path.dirname(createRequire(from).resolve(`${name}/package.json`)), ...inside)
    } catch {
      // Not installed for this one: the next is tried.
    }
  }
  return undefined
}
