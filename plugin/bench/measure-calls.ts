import { percentile } from './statistics.ts'

/** When a measurement ends: after this time, and not before so many calls. */
export interface Amount {
  readonly milliseconds: number
  readonly calls: number
}

/** The time of each call, and of all of them from the first start to the last end, in milliseconds. */
export interface Calls {
  readonly times: Float64Array
  readonly elapsed: number
}

/**
 * Calls a function again and again, by so many callers that each wait for their own result. Each call costs one look at
 * the clock: the end of one is the start of the next.
 */
export async function measureCalls(
  run: () => Promise<unknown>,
  { milliseconds, calls }: Amount,
  callers = 1,
): Promise<Calls> {
  const times = new GrowingList()
  const start = performance.now()
  const isDone = (now: number) => now - start >= milliseconds && times.length >= calls
  const caller = async () => {
    for (let last = start; ;) {
      await run()
      const now = performance.now()
      times.push(now - last)
      last = now
      if (isDone(now)) return
    }
  }
  if (callers === 1) await caller()
  else await Promise.all(Array.from({ length: callers }, caller))
  return { times: times.values(), elapsed: performance.now() - start }
}

// An array of doubles that are boxed one by one would make garbage while something is measured.
class GrowingList {
  length = 0
  #values = new Float64Array(1024)

  push(value: number): void {
    if (this.length === this.#values.length) {
      const larger = new Float64Array(2 * this.length)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.length++] = value
  }

  values(): Float64Array {
    return this.#values.slice(0, this.length)
  }
}

/** Milliseconds that a call takes. */
export async function timed(call: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await call()
  return performance.now() - start
}

/** How late a 1 ms timer fires during `count` calls: the 99th percentile in milliseconds. */
export async function loopDelayDuring(count: number, run: () => Promise<unknown>): Promise<number> {
  const delays: number[] = []
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    delays.push(Math.max(0, now - last - 1))
    last = now
  }, 1)
  for (let call = 0; call < count; call++) await run()
  clearInterval(timer)
  return percentile(
    delays.sort((a, b) => a - b),
    0.99,
  )
}
