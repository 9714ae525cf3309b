/** Calls that have begun and not ended. */
export interface InFlight {
  /** Counts the work until it settles; gives back the same promise. */
  track<T>(work: Promise<T>): Promise<T>
  /** Waits for all that has begun, however it ends. */
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
