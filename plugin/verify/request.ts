import type { ModelManifest } from '../../runtime/manifest.ts'
import type { BuildPlan } from '../backend/contract.ts'
import type { CacheKey } from '../cache/key.ts'
import type { PassRequest, PrecisionPass } from '../precision/pass.ts'

/** An engine to verify. */
export interface VerifyRequest extends PassRequest {
  readonly pass: PrecisionPass | undefined
  /** The engine's own key: another engine is another comparison. */
  readonly key: CacheKey
  /** The import in the cache's history. */
  readonly importKey: string
  /** The engine as its backend planned it: how another one like it is compiled. */
  readonly plan: BuildPlan
  readonly manifest: ModelManifest
  /** Whether this build compiled the engine, instead of finding it in the cache. */
  readonly fresh: boolean
}

/** Milliseconds that a comparison may take where the options do not say. */
export const defaultTimeout = 300_000
