/**
 * A store that a team shares, as two functions. Any of them may reject: that costs a warning, and the engine is built
 * here. A store is not trusted: what it gives is verified before it enters the cache.
 */
export interface RemoteStore {
  /** What is stored under a key (64 hex digits); undefined when there is nothing. */
  get(key: string, context: RemoteContext): Promise<AsyncIterable<Uint8Array> | undefined>
  /** Stores a file under a key. A store without it is only read. */
  put?(key: string, file: string, context: RemoteContext): Promise<void>
}

export interface RemoteContext {
  /** Aborts when the build ends early, or the store takes too long. */
  readonly signal: AbortSignal
}

/** The option `cache.remote`. */
export interface RemoteCacheOptions {
  readonly store: RemoteStore
  /** Signs and verifies entries by HMAC-SHA-256, at least 32 characters. Everyone who can read can sign. */
  readonly secret?: string
  /** Verifies entries by Ed25519, in PEM form. */
  readonly publicKey?: string
  /** Signs entries by Ed25519, in PEM form: only for the machines that write. */
  readonly privateKey?: string
}
