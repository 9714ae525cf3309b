import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { CountReply, CountRequest, Observed } from './counting-worker.ts'

/** Counts values in a thread of its own, while ONNX Runtime computes those of the next sample. */
export interface Counting {
  /**
   * Takes the bytes over. Resolves as soon as those of the call before are counted, so that no more than two samples
   * are in memory.
   */
  add(observed: readonly Observed[]): Promise<void>
  /** The range of each value, in the order that they were named in. */
  ranges(percentile: number): Promise<CountReply>
  stop(): Promise<unknown>
}

export function startCounting(values: readonly string[]): Counting {
  const worker = new Worker(new URL('./counting-worker.js', import.meta.url), { workerData: values })
  let last: Promise<unknown> = Promise.resolve()
  return {
    async add(observed) {
      await last
      last = ask({ observed }, [...new Set(observed.map(({ data }) => data.buffer as ArrayBuffer))])
      // The next caller that waits for it receives the error.
      last.catch(() => undefined)
    },
    async ranges(percentile) {
      await last
      return ask({ percentile }, [])
    },
    stop: () => worker.terminate(),
  }

  async function ask(request: CountRequest, transfer: ArrayBuffer[]): Promise<CountReply> {
    const answered = once(worker, 'message')
    worker.postMessage(request, transfer)
    const [reply] = (await answered) as [CountReply]
    return reply
  }
}
