/** A number of places, each taken by one call at a time; the others wait in the order in which they came. */
export interface Slots {
  /** A free slot at once, or undefined. */
  takeIdle(): number | undefined
  /** A slot, as soon as one is free. */
  take(): Promise<number>
  give(slot: number): void
}

/** Slots with the numbers below `count`. */
export function createSlots(count: number): Slots {
  const idle = Array.from({ length: count }, (_, index) => index)
  const waiting: ((slot: number) => void)[] = []
  return {
    takeIdle: () => idle.pop(),
    async take() {
      return idle.pop() ?? (await new Promise<number>((resolve) => waiting.push(resolve)))
    },
    give(slot) {
      const next = waiting.shift()
      if (next) next(slot)
      else idle.push(slot)
    },
  }
}
