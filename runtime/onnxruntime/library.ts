import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { unpacked } from '../artifact.ts'
import { findLibrary, type LibraryPattern, type Place } from '../library.ts'

const require = createRequire(import.meta.url)

// What release archives and onnxruntime-node call it.
const linux: LibraryPattern = { file: /^libonnxruntime\.so(\.\d+)*$/, folders: ['lib', 'lib64'] }
const patterns: Partial<Record<NodeJS.Platform, LibraryPattern>> = {
  linux,
  darwin: { file: /^libonnxruntime(\.1)?\.dylib$/, folders: ['lib'] },
  win32: { file: /^onnxruntime\.dll$/i, folders: ['lib', 'bin'] },
}

/**
 * The path of ONNX Runtime's library, or why there is none. `option` is what the user configured: a folder or the
 * library itself. A place that the user named (the option, the environment variable ONNXRUNTIME_ROOT) is the only one
 * that counts; `named` says that there is one.
 */
export function findOnnxRuntime(
  option?: string,
): { readonly file: string; readonly named: boolean } | { readonly reason: string; readonly named: boolean } {
  const { ONNXRUNTIME_ROOT } = process.env
  const named = Boolean(option ?? ONNXRUNTIME_ROOT)
  const places: Place[] = [
    { name: 'the option library', path: option, explicit: true },
    { name: 'ONNXRUNTIME_ROOT', path: ONNXRUNTIME_ROOT || undefined, explicit: true },
    { name: 'the package onnxruntime-node', path: packageFolder() },
  ]
  const found = findLibrary(patterns[process.platform] ?? linux, places)
  if ('file' in found) return { file: unpacked(found.file), named }
  return { reason: `ONNX Runtime's library was not found; tried ${found.tried}`, named }
}

// Its binaries are in bin/napi-v6/<platform>/<arch>; the number is that of Node-API, and rises.
function packageFolder(): string | undefined {
  try {
    const binaries = path.join(path.dirname(require.resolve('onnxruntime-node/package.json')), 'bin')
    const newest = readdirSync(binaries)
      .filter((name) => /^napi-v\d+$/.test(name))
      .sort((a, b) => Number(a.slice(6)) - Number(b.slice(6)))
      .at(-1)
    return newest === undefined ? undefined : path.join(binaries, newest, process.platform, process.arch)
  } catch {
    // Not installed.
    return undefined
  }
}
