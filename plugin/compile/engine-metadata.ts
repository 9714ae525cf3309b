import type { Layer } from '../backend/layers.ts'
import type { Json } from '../cache/key.ts'
import type { LoweringReport } from '../precision/lower.ts'

/** What the cache keeps with an engine: the report of its lowering, or that and its layers. */
export type EngineMetadata = LoweringReport | Described

type Described = { readonly layers: readonly Layer[]; readonly lowering: LoweringReport | null }

/** Adds the layers of an engine to the report of its lowering, if they are known. */
export function withLayers(
  lowering: LoweringReport | undefined,
  layers: readonly Layer[] | undefined,
): EngineMetadata | undefined {
  return layers ? { layers, lowering: lowering ?? null } : lowering
}

/** Takes apart what `withLayers` made, also in an earlier build. */
export function describedBy(metadata: Json): { readonly lowering: Json; readonly layers?: readonly Layer[] } {
  const isDescribed = typeof metadata === 'object' && metadata !== null && 'layers' in metadata
  return isDescribed ? (metadata as Described) : { lowering: metadata }
}
