/** Calls that have begun and not ended: what dispose() waits for. */
export interface InFlight {
  /** Counts the work until it settles; returns the same promise. */
  track<T>(work: Promise<T>): Promise<T>
  /** Waits for everything that has begun, whether it succeeds or fails. */
  settled(): Promise<void>
}

export function createInFlight(): InFlight {
  const running = new Set<Promise<unknown>>()
  return {
    track(work) {
      running.add(work)
      const done = () => running.delete(work)
      work.then(done, done)
      return work
    },
    async settled() {
      await Promise.allSettled(running)
    },
  }
}
