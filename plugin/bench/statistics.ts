import { median } from '../measure/numbers.ts'

/** What bench prints of the times of many calls, in milliseconds. A type, so that it is JSON. */
export type Latency = {
  readonly count: number
  readonly min: number
  readonly mean: number
  readonly median: number
  readonly p90: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

/** The figures of some times; there must be at least one. */
export function summarize(times: Float64Array): Latency {
  const sorted = times.toSorted()
  const sum = sorted.reduce((total, time) => total + time, 0)
  return {
    count: sorted.length,
    min: sorted[0] ?? 0,
    mean: sum / sorted.length,
    median: median(sorted),
    p90: percentile(sorted, 0.9),
    p95: percentile(sorted, 0.95),
    p99: percentile(sorted, 0.99),
    max: sorted.at(-1) ?? 0,
  }
}

/** The smallest value that at least this share of the sorted values does not exceed. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
}

/**
 * Runs A and B in turn, so that a busy machine slows both; the first round warms up and does not count.
 */
export async function inTurn(
  rounds: number,
  a: () => Promise<number>,
  b: () => Promise<number>,
): Promise<{ ours: number; peer: number }> {
  const ours: number[] = []
  const peer: number[] = []
  for (let round = 0; round <= rounds; round++) {
    const fromA = await a()
    const fromB = await b()
    if (round === 0) continue
    ours.push(fromA)
    peer.push(fromB)
  }
  return { ours: median(ours), peer: median(peer) }
}
