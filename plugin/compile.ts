import type { Bindings, BackendName, Precision, Requirements } from '../runtime/manifest.ts'
import type { CacheKey } from './cache/key.ts'

/** An engine file in the cache, ready to be emitted. */
export interface Artifact {
  /** Absolute path of the raw engine inside the cache. */
  readonly file: string
  /** Size in bytes. */
  readonly size: number
  /** Lower-case hex SHA-256 of the bytes. */
  readonly sha256: string
  readonly key: CacheKey
}

/** One compiled engine of a model. */
export interface Variant<B extends BackendName = BackendName> {
  readonly backend: B
  readonly engine: Precision
  /** File extension of the raw engine, with the dot. */
  readonly extension: string
  readonly artifact: Artifact
  readonly requires: Requirements[B]
  /** What the cache did: `reason` is 'hit', 'miss: new', 'miss: weights changed', ... */
  readonly cache: { readonly hit: boolean; readonly reason: string; readonly seconds: number }
}

/** What a compilation of one model gives: the bindings and the variants in order of preference. */
export interface Compiled {
  /** Base name of the model file without '.onnx'. */
  readonly name: string
  readonly bindings: Bindings
  readonly variants: readonly Variant[]
}
