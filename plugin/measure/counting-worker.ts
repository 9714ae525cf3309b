import { parentPort, workerData } from 'node:worker_threads'
import { addStored, newHistogram, type Range, rangeOf, type Stored } from './histogram.ts'

/** What one sample gave of one value. */
export interface Observed extends Stored {
  readonly value: string
  readonly finite: boolean
  /** Rows along its last dim. */
  readonly rows: number
}

/** Values to count, or the percentage for which the ranges of all are wanted. */
export type CountRequest = { readonly observed: readonly Observed[] } | { readonly percentile: number }

/** Nothing after a sample was counted; the ranges when they were asked for. */
export type CountReply = readonly (readonly [value: string, range: Range])[] | undefined

const histograms = new Map((workerData as readonly string[]).map((value) => [value, newHistogram()]))

parentPort?.on('message', (request: CountRequest) => parentPort?.postMessage(answer(request), []))

function answer(request: CountRequest): CountReply {
  if ('percentile' in request)
    return [...histograms].map(([value, histogram]) => [value, rangeOf(histogram, request.percentile)] as const)
  for (const { value, finite, rows, ...stored } of request.observed) {
    const histogram = histograms.get(value)!
    histogram.rows = Math.max(histogram.rows, rows)
    addStored(histogram, stored, finite)
  }
  return undefined
}
