/** Lines that show that a build is still running. */
export interface Progress {
  /** What it does now, in words. */
  phase(text: string): void
  stop(): void
}

/**
 * Prints a line when a build has taken 5 seconds, and again after pauses of 10, 20, 40 and then 60 seconds: how long it
 * has been, what it does, and how long it took the last time. Never a percentage: builders do not know how far they
 * are.
 */
export function startProgress(name: string, last: number | undefined, log: (line: string) => void): Progress {
  const started = performance.now()
  let doing = ''
  let pause = firstPause
  let timer = setTimeout(print, pause)
  timer.unref()

  function print(): void {
    const elapsed = `${Math.round((performance.now() - started) / 1000)} s`
    log(
      [`${name}: ${elapsed}`, doing, last === undefined ? '' : `${last.toFixed(1)} s the last time`]
        .filter(Boolean)
        .join(', '),
    )
    pause = Math.min(2 * pause, longestPause)
    timer = setTimeout(print, pause)
    timer.unref()
  }

  return {
    phase(text) {
      doing = text
    },
    stop() {
      clearTimeout(timer)
    },
  }
}

const firstPause = 5000
const longestPause = 60_000
