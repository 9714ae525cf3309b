/** A time limit that counts only between `start` and `stop`, so that waiting for a free core uses no time. */
export interface Countdown {
  readonly signal: AbortSignal
  start(): void
  stop(): void
}

/** Longest time of Node's timers, in milliseconds; with a longer one they fire at once. */
export const longestTimeout = 2 ** 31 - 1

/** A countdown whose signal aborts after this many milliseconds between `start` and `stop`. */
export function countdown(milliseconds: number): Countdown {
  const controller = new AbortController()
  let left = milliseconds
  let since = 0
  let timer: NodeJS.Timeout | undefined
  return {
    signal: controller.signal,
    start() {
      since = performance.now()
      timer = setTimeout(() => controller.abort(), Math.min(Math.max(0, left), longestTimeout))
    },
    stop() {
      if (!timer) return
      clearTimeout(timer)
      timer = undefined
      left -= performance.now() - since
    },
  }
}
