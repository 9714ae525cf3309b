import { progressLine, type StartProgress } from '../compile/progress.ts'
import type { LiveLine } from '../terminal/live.ts'

/** Shows all long builds together on one live line, the longest one first. */
export function liveProgress(line: LiveLine): StartProgress {
  const running = new Set<() => string | undefined>()
  let timer: NodeJS.Timeout | undefined
  const show = () => {
    const texts = [...running].flatMap((text) => text() ?? [])
    if (texts.length > 0) line.show(texts.join('; '))
  }
  return (title, last) => {
    const started = performance.now()
    let doing = ''
    const text = () => {
      const elapsed = performance.now() - started
      return elapsed < leastElapsed ? undefined : progressLine(title, { elapsed, doing, last })
    }
    running.add(text)
    timer ??= setInterval(show, 1000).unref()
    return {
      phase(next) {
        doing = next
      },
      stop() {
        running.delete(text)
        line.clear()
        if (running.size > 0) return
        clearInterval(timer)
        timer = undefined
      },
    }
  }
}

/** Milliseconds before a build counts as long. */
const leastElapsed = 2000
