import type { Random } from './random.ts'

/** What an attack works with. */
export interface Bench {
  /** Seeded: the same seed gives the same attempts, as far as processes and clocks allow. */
  readonly random: Random
  /** An empty folder, removed when the attack is over. */
  readonly folder: string
  /** Runs when the attack is over, in reverse order. */
  readonly onEnd: (end: () => unknown) => void
}

/** One attempt; resolves with the fault that it found, undefined when all held. A rejection is a fault as well. */
export type Attempt = () => Promise<string | undefined>

export interface Attack {
  /** What must hold, for the table in docs/reliability.md. */
  readonly claim: string
  /** Seconds that one attempt may take before it counts as hung; 30 when absent. */
  readonly patience?: number
  /** Why it cannot run here; undefined when it can. */
  readonly skipped?: () => string | undefined
  open(bench: Bench): Promise<Attempt>
}
