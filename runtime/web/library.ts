import type { FileUrl } from '../manifest.ts'

/** A file of the output, as the build knows it. */
export interface ShippedFile {
  readonly file: FileUrl | string
  /** Bytes. */
  readonly size: number
  /** Lower-case hex SHA-256. */
  readonly sha256: string
}

/**
 * The library of a page: our worker and one flavour of onnxruntime-web. The plugin writes it into the module of each
 * model; all models of a page share the worker.
 */
export interface WebLibrary {
  readonly worker: ShippedFile
  /** The code of onnxruntime-web without WebAssembly in it. */
  readonly library: ShippedFile
  /** The code that starts its WebAssembly, and its threads. */
  readonly loader: ShippedFile
  readonly wasm: ShippedFile
  /** Version of onnxruntime-web. */
  readonly version: string
  /** Set when the flavour has WebGPU. */
  readonly webgpu?: 'jspi' | 'asyncify'
  /** Threads of one inference. Default: half of the processors, at most 4. */
  readonly threads?: number
  /** Whether a software adapter is accepted for WebGPU. */
  readonly allowSoftware?: boolean
}

export function urlOf({ file }: Pick<ShippedFile, 'file'>): string {
  return typeof file === 'string' ? file : file.href
}
