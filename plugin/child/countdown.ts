/** Milliseconds that count only while something runs: what waits for a free core must not run out of time. */
export interface Countdown {
  readonly signal: AbortSignal
  start(): void
  stop(): void
}

/** Node's timers take no more, and fire at once instead. */
export const longestTimeout = 2 ** 31 - 1

/** A signal that aborts when so many milliseconds have passed between `start` and `stop`. */
export function countdown(milliseconds: number): Countdown {
  const late = new AbortController()
  let left = milliseconds
  let since = 0
  let timer: NodeJS.Timeout | undefined
  return {
    signal: late.signal,
    start() {
      since = performance.now()
      timer = setTimeout(() => late.abort(), Math.min(Math.max(0, left), longestTimeout))
    },
    stop() {
      if (!timer) return
      clearTimeout(timer)
      timer = undefined
      left -= performance.now() - since
    },
  }
}
