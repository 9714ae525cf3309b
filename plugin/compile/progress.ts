/** Lines that show that a build is still running. */
export interface Progress {
  /** What it does now, in words. */
  phase(text: string): void
  stop(): void
}

/** Begins to show the progress of a build: its title, and the seconds that it took the last time. */
export type StartProgress = (title: string, last: number | undefined) => Progress

/** 'pose fp32 onnxruntime: 12 s, compiling, 30.1 s the last time'. */
export function progressLine(title: string, { elapsed, doing, last }: ProgressFacts): string {
  const before = last === undefined ? '' : `${last.toFixed(1)} s the last time`
  return [`${title}: ${Math.round(elapsed / 1000)} s`, doing, before].filter(Boolean).join(', ')
}

/** What a line of progress says. */
export interface ProgressFacts {
  /** Milliseconds. */
  readonly elapsed: number
  readonly doing: string
  readonly last: number | undefined
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
    log(progressLine(name, { elapsed: performance.now() - started, doing, last }))
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
