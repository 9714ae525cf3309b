import { relative, resolve } from 'node:path'
import { keptFigures } from '../../bench/kept-figures.ts'
import type { Facts } from '../../cache/key.ts'
import { openStore } from '../../cache/store.ts'
import { engineMetadata } from '../../compile/engine-metadata.ts'
import { hashFile } from '../../files/hash.ts'
import type { ResolvedOptions } from '../../options/schema.ts'
import { shorten } from '../../text.ts'
import type { BenchFigures, EngineView } from '../contract.ts'
import { engineParts, precisionOf } from './engine-parts.ts'
import { factRows } from './fact-rows.ts'
import { verificationFigures } from './verification-figures.ts'

/** A model that the page shows, by its absolute path. */
export type ModelPlace = { readonly id: string; readonly file: string }

/** Every engine of the cache that is the current one of an import, also of models that the page does not show. */
export async function cachedEngines(
  models: readonly ModelPlace[],
  { root, cache }: ResolvedOptions,
): Promise<readonly EngineView[]> {
  const store = openStore({ ...cache, warn: console.error })
  const [entries, imports] = await Promise.all([store.list(), store.imports()])
  const byDigest = new Map(entries.map((entry) => [entry.digest, entry]))
  const fileOf = (key: string) =>
    byDigest.get(imports.find(({ importKey }) => importKey === key)?.entry.digest ?? '')?.file
  const views = imports.map(async ({ importKey, entry, reason }): Promise<EngineView | undefined> => {
    const found = byDigest.get(entry.digest)
    const parts = engineParts(importKey)
    // Measurements of an engine have entries of their own.
    if (!found || !parts || found.facts['backend'] === undefined) return undefined
    const model = models.find(({ file }) => relative(root, file).replaceAll('\\', '/') === parts.file)
    const { shipped } = engineMetadata(found.metadata)
    const { outputs, parts: errorParts } = await verificationFigures(fileOf(`${importKey} verification`))
    return {
      id: `engine:${importKey}`,
      origin: 'cache',
      model: model?.id ?? null,
      modelName: shorten(parts.file, 300),
      query: parts.query,
      backend: parts.backend,
      label: shipped?.label ?? '',
      precision: shipped?.engine ?? precisionOf(parts.query),
      file: found.file,
      bytes: found.size,
      facts: factRows(found.facts),
      requires: factRows(shipped?.requires ?? {}),
      why: shorten(reason, 300),
      verification: outputs,
      errorParts,
      buildSeconds: found.seconds,
      bench: await lastBench(store, entry.digest),
      stale: await staleReason(resolve(root, parts.file), found.facts),
      problems: [],
    }
  })
  return (await Promise.all(views)).filter((view) => view !== undefined)
}

async function lastBench(store: Parameters<typeof keptFigures>[0], digest: string): Promise<BenchFigures | null> {
  const kept = await keptFigures(store, digest)
  if (kept === undefined) return null
  const { load, first, memory, throughput, concurrency, at, cpu } = kept
  const { min, median, p90, p95, p99, max } = kept.latency
  const latency = { min, median, p90, p95, p99, max }
  return { ...latency, load, first, memory, throughput, concurrency, at, cpu: shorten(cpu) }
}

async function staleReason(file: string, { model }: Facts): Promise<string | null> {
  if (typeof model !== 'string') return null
  const digest = await hashFile(file).catch(() => undefined)
  if (digest === undefined) return 'the model is not there any more'
  return digest === model ? null : 'the model has changed since'
}
