import type { StoredDType } from '../../runtime/dtype.ts'
import type { Bindings } from '../../runtime/manifest.ts'

/** A byte range of a file. */
export interface ByteRange {
  /** Absolute path. */
  readonly file: string
  readonly offset: number
  readonly length: number
}

/** An initializer by reference: its weights stay on disk. */
export interface Initializer {
  readonly name: string
  readonly dtype: StoredDType
  readonly dims: readonly number[]
  /** Where the raw little-endian bytes lie; undefined when the tensor stores typed values (float_data and its kin) instead. */
  readonly range?: ByteRange
}

/** What is known of a model file without decoding its weights. */
export interface Model {
  /** Absolute path of the .onnx file. */
  readonly file: string
  /** Size of the .onnx file in bytes. */
  readonly size: number
  readonly irVersion: number
  /** Opset version by domain; the main domain is ''. */
  readonly opsets: Readonly<Record<string, number>>
  readonly bindings: Bindings
  readonly initializers: readonly Initializer[]
  /** External byte ranges in the order of the file, duplicates kept. */
  readonly external: readonly ByteRange[]
}
