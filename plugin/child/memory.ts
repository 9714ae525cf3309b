import type { ChildProcess } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'

/** Kills a child process that takes too much memory, and lets the system do so first when memory runs out. */
export interface MemoryWatch {
  stop(): void
  /** Whether it has killed the child. */
  exceeded(): boolean
}

/**
 * Watches the memory of a child process. A model of a hundred bytes can ask a compiler for tens of gigabytes, which
 * would take the bundler, the editor and the terminal along. Linux only: other systems have no such file.
 */
export function watchMemory(child: ChildProcess, mostBytes: number): MemoryWatch {
  const { pid } = child
  if (process.platform !== 'linux' || pid === undefined) return { stop: () => {}, exceeded: () => false }
  // Everybody may raise the score of an own process, here to the value that makes it the first to go.
  writeFile(`/proc/${pid}/oom_score_adj`, '1000').catch(() => {})
  let killed = false
  const timer = setInterval(() => void check().catch(() => {}), interval)
  timer.unref()

  async function check(): Promise<void> {
    const [, resident = '0'] = (await readFile(`/proc/${pid}/statm`, 'latin1')).split(' ')
    if (killed || Number(resident) * pageBytes <= mostBytes) return
    killed = child.kill('SIGKILL')
  }

  return { stop: () => clearInterval(timer), exceeded: () => killed }
}

const interval = 100

// The size of a page is 4 KiB on x64 and most arm64 kernels; where it is larger, the limit is higher.
const pageBytes = 4096
