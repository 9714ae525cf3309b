import * as v from 'valibot'
import type { Json } from '../cache/key.ts'
import type { Store } from '../cache/store.ts'
import type { Contender } from './contenders.ts'
import type { BenchReport, BenchRow, RowFigures, RowName } from './contract.ts'

/** What the cache keeps of the last bench of an engine: the row with the fewest callers. Times are in milliseconds. */
export type KeptFigures = Pick<RowName, 'concurrency'> &
  Pick<RowFigures, 'load' | 'first' | 'latency' | 'throughput' | 'memory' | 'gpu'> & {
    /** Milliseconds since the epoch. */
    readonly at: number
    /** The processor that it ran on. */
    readonly cpu: string
  }

/**
 * Keeps the figures of a report next to the engines in the cache, also of engines that were given by a manifest.
 *
 * @throws OnnxEngineError CACHE_FAILED
 */
export async function keepFigures(
  store: Pick<Store, 'list' | 'keepMeasurement'>,
  contenders: readonly Contender[],
  { rows, machine }: BenchReport,
): Promise<void> {
  const entries = await store.list()
  for (const contender of contenders) {
    const row = fewestCallers(rows, contender)
    if (row === undefined || !('opponent' in contender) || !('manifest' in contender.opponent)) continue
    const engines = new Set(contender.opponent.manifest.variants.map(({ sha256 }) => sha256))
    const { concurrency, load, first, latency, throughput, memory, gpu } = row
    const figures = { concurrency, load, first, latency, throughput, memory, gpu }
    const kept: KeptFigures = { ...figures, at: Date.now(), cpu: machine.cpu }
    for (const { digest, sha256 } of entries) if (engines.has(sha256)) await store.keepMeasurement(digest, kept as Json)
  }
}

/** The figures of the last bench of an engine, by the digest of its key; undefined when there was none. */
export async function keptFigures(store: Pick<Store, 'measurement'>, digest: string): Promise<KeptFigures | undefined> {
  const kept = await store.measurement(digest)
  return v.is(schema, kept) ? (kept as KeptFigures) : undefined
}

function fewestCallers(rows: readonly BenchRow[], { name }: Contender): (RowName & RowFigures) | undefined {
  return rows
    .filter((row): row is RowName & RowFigures => !('failed' in row))
    .filter(({ engine, backend, label }) => engine === name.engine && backend === name.backend && label === name.label)
    .sort((a, b) => a.concurrency - b.concurrency)[0]
}

const number = v.number()
const latency = v.object({
  count: number,
  min: number,
  mean: number,
  median: number,
  p90: number,
  p95: number,
  p99: number,
  max: number,
})
const gpu = v.union([
  v.null(),
  v.object({ failed: v.string() }),
  v.object({ hostToDevice: latency, compute: latency, deviceToHost: latency }),
])
const schema = v.object({
  at: number,
  cpu: v.string(),
  concurrency: number,
  load: number,
  first: number,
  latency,
  throughput: number,
  memory: number,
  gpu,
})
