import type { BackendName, Bindings, Precision, Requirements } from '../../runtime/manifest.ts'
import type { Layer } from '../backend/layers.ts'
import type { Json } from '../cache/key.ts'
import type { LoweringReport } from '../precision/lower.ts'

/** What the cache keeps with an engine. */
export interface EngineMetadata {
  /** Report of the lowering; null when nothing was lowered. */
  readonly lowering: LoweringReport | null
  /** The layers, where a compiler lists them. */
  readonly layers?: readonly Layer[] | undefined
  /** Its facts in a manifest; undefined in caches of earlier versions. */
  readonly shipped?: ShippedFacts | undefined
}

/** The facts of an engine in a manifest, besides its file. */
export interface ShippedFacts {
  readonly engine: Precision
  readonly label: string
  readonly requires: Requirements[BackendName]
  readonly bindings: Bindings
}

/** Reads what the cache has, of earlier versions too: the report of the lowering alone, or that and the layers. */
export function engineMetadata(metadata: Json): EngineMetadata {
  const isRecord = typeof metadata === 'object' && metadata !== null && 'lowering' in metadata
  return (isRecord ? metadata : { lowering: metadata }) as unknown as EngineMetadata
}
