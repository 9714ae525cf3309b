import { secondsSince } from './build.ts'
import type { Json, CacheKey } from './key.ts'
import type { Placed } from './scratch.ts'

/** The answer of the cache: the same artifact and metadata for a hit as for the miss that built it. */
export interface Stored {
  readonly artifact: Artifact
  readonly hit: boolean
  /** 'hit', 'hit: remote', 'miss: new', 'miss: weights changed', 'miss: the cached engine was corrupted', ... */
  readonly reason: string
  /** How long this call took. */
  readonly seconds: number
  readonly metadata: Json
}

/** The answer of the cache for an engine; `started` is the reading of `performance.now()` when the caller asked. */
export function storedOf({ entry, file }: Placed, reason: string, started: number): Stored {
  const { size, sha256, digest, facts, metadata } = entry
  const artifact = { file, size, sha256, key: { digest, facts } }
  return { artifact, hit: reason.startsWith('hit'), reason, seconds: secondsSince(started), metadata }
}

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
