import { availableParallelism, freemem } from 'node:os'

/** What compilers may use together. */
export interface Budget {
  readonly cores: number
  /** Bytes. */
  readonly memory: number
}

/**
 * Whether a compiler that needs so many bytes may start beside those that run: one core each, within the memory. The
 * first one always may, since a build that may fit is better than none.
 */
export function mayStart(bytes: number, running: readonly number[], { cores, memory }: Budget): boolean {
  return (
    running.length === 0 || (running.length < cores && running.reduce((sum, other) => sum + other, bytes) <= memory)
  )
}

/**
 * Bytes that a compiler's process takes at most for a model of that size, external data included: 0.9 GB + 3 bytes for
 * each byte of the model. Measured on Linux x64 with models of 0.2 MB to 940 MB of weights: TensorRT-RTX 1.7 took 0.3
 * GB (its library) to 0.87 GB (the 910 nodes of densenet121) without weights, and 1.9 (MatMul) to 2.6 (Conv) bytes for
 * each byte of them; ONNX Runtime 1.30 took 0.12 GB and up to 3.7, OpenVINO 2026.4 0.16 GB and up to 2.
 */
export function estimateBytes(modelBytes: number): number {
  return 0.9e9 + 3 * modelBytes
}

/**
 * Waits for its turn, in the order of the calls, and gives what ends it. A signal that fires ends the waiting, with
 * undefined.
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

/** The budget of this machine, or of the container that it is. */
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

// One that does not fit holds up those behind it: it would wait for ever if smaller ones overtook it.
function startNext(): void {
  // What runs has taken some of its memory already and not yet the rest, so that free memory is read when nothing runs.
  if (running.length === 0) budget = currentBudget()
  while (waiting[0] && mayStart(waiting[0].bytes, running, budget)) waiting.shift()!.start()
}
