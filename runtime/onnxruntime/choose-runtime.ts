import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { loadAddon, type OnnxRuntimeAddon } from '../../native/load-addon.ts'
import { textOf } from '../errors.ts'
import type { SessionOptions } from '../session.ts'
import { findOnnxRuntime } from './library.ts'

/** ONNX Runtime's library, opened in this process. */
export interface NativeRuntime {
  readonly session: 'native'
  readonly addon: OnnxRuntimeAddon
  /** Absolute path of the library. */
  readonly library: string
  readonly version: string
  /** Whether the user named the library, by the option or by the variable. */
  readonly named: boolean
}

/** onnxruntime-node in a worker. */
export interface WorkerRuntime {
  readonly session: 'worker'
  /** Of onnxruntime-node. */
  readonly version: string
  /** Why there is no native session. */
  readonly reason: string
}

export interface NoRuntime {
  readonly refused: string
}

const require = createRequire(import.meta.url)
const opened = new Map<string, Promise<string | { readonly unusable: string }>>()

/**
 * How this machine runs ONNX Runtime: natively where there are an addon and a library that can be used, otherwise in a
 * worker. A library that the user named, and a session that the user asked for, are used or refused: nothing else
 * stands in for them. `opening` is called while a library is opened, which takes 20 ms.
 */
export async function chooseRuntime(
  { library: option, session }: SessionOptions,
  opening?: () => void,
): Promise<NativeRuntime | WorkerRuntime | NoRuntime> {
  if (session === 'worker') return workerRuntime(`the option session is 'worker'`)
  const found = findOnnxRuntime(option)
  const native = await nativeRuntime(found, opening)
  if (!('unusable' in native)) return native
  if (session === 'native' || found.named) return { refused: native.unusable }
  return workerRuntime(native.unusable)
}

async function nativeRuntime(
  found: ReturnType<typeof findOnnxRuntime>,
  opening?: () => void,
): Promise<NativeRuntime | { readonly unusable: string }> {
  if ('reason' in found) return { unusable: found.reason }
  const loaded = loadAddon('onnxruntime')
  if ('reason' in loaded) return { unusable: loaded.reason }
  const { addon } = loaded
  const { file: library, named } = found
  const version = openLibrary(addon, library)
  opening?.()
  const result = await version
  return typeof result === 'string' ? { session: 'native', addon, library, version: result, named } : result
}

async function openLibrary(addon: OnnxRuntimeAddon, library: string): Promise<string | { readonly unusable: string }> {
  // From 1.29 on ONNX Runtime for Linux sends names and hashes of models to its makers, and a process starts 50 ms
  // later for it.
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1'
  const opening =
    opened.get(library) ??
    addon.version(library).catch((error: unknown) => ({ unusable: `${library} cannot be used: ${textOf(error)}` }))
  opened.set(library, opening)
  const version = await opening
  // Tried again by the next load: the user may have mended it meanwhile.
  if (typeof version !== 'string') opened.delete(library)
  return version
}

function workerRuntime(reason: string): WorkerRuntime | NoRuntime {
  const version = installedVersion()
  if (version !== undefined) return { session: 'worker', version, reason }
  return { refused: 'onnxruntime-node is not installed: npm install onnxruntime-node' }
}

// Sooner done than waited for: the worker starts after it.
function installedVersion(): string | undefined {
  try {
    const { version } = JSON.parse(readFileSync(require.resolve('onnxruntime-node/package.json'), 'utf8')) as {
      version: string
    }
    return version
  } catch {
    return undefined
  }
}
