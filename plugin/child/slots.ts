import { availableParallelism, freemem } from 'node:os'

/** What all child processes may use together. */
export interface Budget {
  readonly cores: number
  /** Bytes. */
  readonly memory: number
}

/**
 * Whether a process that needs this many bytes may start while others run: one core each, within the memory. The first
 * one always may: a build that perhaps fits is better than none.
 */
export function mayStart(bytes: number, running: readonly number[], { cores, memory }: Budget): boolean {
  return (
    running.length === 0 || (running.length < cores && running.reduce((sum, other) => sum + other, bytes) <= memory)
  )
}

/**
 * Most bytes that a compiler's process takes for a model of this size, external data included: 0.9 GB + 3 bytes for
 * each byte of the model. Measured on Linux x64 with models of 0.2 MB to 940 MB of weights: TensorRT-RTX 1.7 took 0.3
 * GB (its library) to 0.87 GB (the 910 nodes of densenet121) without weights, and 1.9 (MatMul) to 2.6 (Conv) bytes for
 * each byte of them; ONNX Runtime 1.30 took 0.12 GB and up to 3.7, OpenVINO 2026.4 0.16 GB and up to 2.
 */
export function estimateBytes(modelBytes: number): number {
  return 0.9e9 + 3 * modelBytes
}

/**
 * Waits until one more process may start, in the order of the calls. Returns the function that frees its place, or
 * undefined when the signal fires first.
 */
export function enterSlot(bytes: number, signal?: AbortSignal): Promise<(() => void) | undefined> {
  if (signal?.aborted) return Promise.resolve(undefined)
  return new Promise((resolve) => {
    const waiter: Waiter = {
      bytes,
      start() {
        signal?.removeEventListener('abort', leave)
        running.push(waiter.bytes)
        resolve(() => {
          running.splice(running.indexOf(waiter.bytes), 1)
          startNext()
        })
      },
    }
    const leave = () => {
      waiting.splice(waiting.indexOf(waiter), 1)
      resolve(undefined)
      startNext()
    }
    signal?.addEventListener('abort', leave, { once: true })
    waiting.push(waiter)
    startNext()
  })
}

/** The budget of this machine, or of the container that this process runs in. */
export function currentBudget(): Budget {
  // 0 or more than the machine has when nothing constrains this process.
  const limit = process.constrainedMemory()
  const memory = limit > 0 ? Math.min(freemem(), limit - process.memoryUsage.rss()) : freemem()
  return { cores: availableParallelism(), memory }
}

interface Waiter {
  readonly bytes: number
  start(): void
}

const waiting: Waiter[] = []
const running: number[] = []
let budget: Budget = { cores: 1, memory: 0 }

// A large one holds up those behind it: it would wait for ever if smaller ones overtook it.
function startNext(): void {
  // A running process has taken part of its memory and not yet the rest, so free memory is read when nothing runs.
  if (running.length === 0) budget = currentBudget()
  while (waiting[0] && mayStart(waiting[0].bytes, running, budget)) waiting.shift()!.start()
}
