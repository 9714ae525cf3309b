/** One line of the benchmark: what we measured and what users would do instead, in one run. */
export interface Row {
  readonly name: string
  /** What it is compared with. */
  readonly beside: string
  readonly ours: number
  readonly peer: number
  /** '' for a plain number. */
  readonly unit: 'ms' | 's' | 'MB' | '/s' | ''
  /** The target: a bound on the ratio ours/peer, on the difference ours - peer, or on ours alone. */
  readonly aim: Aim
}

export interface Aim {
  readonly of: 'ratio' | 'difference' | 'ours'
  readonly atMost?: number
  readonly atLeast?: number
}

/** Measures a group of rows. */
export type Bench = () => Promise<readonly Row[]>

/** The number that the aim is about. */
export function measured(row: Row): number {
  return { ratio: ratio(row), difference: row.ours - row.peer, ours: row.ours }[row.aim.of]
}

/** Our number divided by the peer's; 1 when both are zero. */
export function ratio({ ours, peer }: Pick<Row, 'ours' | 'peer'>): number {
  return ours === peer ? 1 : ours / peer
}

export function reached(row: Row): boolean {
  const value = measured(row)
  return value <= (row.aim.atMost ?? Infinity) && value >= (row.aim.atLeast ?? -Infinity)
}
