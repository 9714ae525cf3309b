import type { OnProgress } from './types.ts'

/** Those who follow how an engine arrives. */
export interface Progress {
  readonly emit: OnProgress
  /** Lets a listener follow until the work settles; returns the same result. */
  during<T>(work: () => Promise<T>, listener: OnProgress | undefined): Promise<T>
}

export function createProgress(): Progress {
  const listeners = new Set<OnProgress>()
  return {
    emit: (progress) => listeners.forEach((listener) => listener(progress)),
    async during(work, listener) {
      if (!listener) return work()
      listeners.add(listener)
      try {
        return await work()
      } finally {
        listeners.delete(listener)
      }
    },
  }
}
