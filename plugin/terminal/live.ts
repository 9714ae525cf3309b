import type { WriteStream } from 'node:tty'

/** Lines of a terminal that are written over again and again. */
export interface LiveLines {
  show(lines: readonly string[]): void
  /** Removes the lines. */
  clear(): void
}

/** Live lines on a terminal. */
export function liveLines(terminal: WriteStream): LiveLines {
  let height = 0
  const clear = () => {
    if (height === 0) return
    terminal.moveCursor(-terminal.columns, -height)
    terminal.clearScreenDown()
    height = 0
  }
  return {
    show(lines) {
      clear()
      // More lines than the terminal has would scroll away, and could not be written over.
      const visible = lines.slice(-Math.max(1, terminal.rows - 1))
      terminal.write(`${visible.join('\n')}\n`)
      height = visible.length
    },
    clear,
  }
}

/** One line of a terminal that is written over again and again, next to what other programs print. */
export interface LiveLine {
  show(line: string): void
  /** Removes the line. */
  clear(): void
}

/** A live line on a terminal. It is cut to the width: a longer one would leave its first part behind. */
export function liveLine(terminal: Pick<WriteStream, 'columns' | 'write'>): LiveLine {
  let isShown = false
  return {
    show(line) {
      terminal.write(`\r${line.slice(0, Math.max(1, terminal.columns - 1))}${clearToEnd}`)
      isShown = true
    },
    clear() {
      if (isShown) terminal.write(`\r${clearToEnd}`)
      isShown = false
    },
  }
}

const clearToEnd = '\u001B[K'

/** Whether a person looks at this stream: a terminal, and not that of a CI service. */
export function isInteractive(stream: { readonly isTTY?: boolean }): boolean {
  return stream.isTTY === true && (process.env['CI'] ?? '') === ''
}
