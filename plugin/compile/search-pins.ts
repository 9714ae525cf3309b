/** A way to build an engine: the names that stay in fp32, and how it does. A type: it is kept as JSON. */
export type Trial = {
  readonly pinned: readonly string[]
  /** Whether the outputs keep the limits, and the engine is no larger than fp32 and not fp32 in nearly all nodes. */
  readonly isFine: boolean
  /** How far the outputs are from those of the fp32 model; null where they are no numbers. */
  readonly distance: number | null
  /** Its time as a share of that of fp32; null where it was not measured, as it cannot win. */
  readonly ratio: number | null
  /** Bytes. */
  readonly size: number
}

/** What the search of a build found. A type: it is kept as JSON, and a part of what the build reports. */
export type PrecisionSearch = {
  /** Everything that was tried, in that order, with the number of names that stayed in fp32. */
  readonly curve: readonly (Omit<Trial, 'pinned'> & { readonly pinned: number })[]
  /** Why it stopped. */
  readonly stopped: 'done' | 'budget'
  readonly seconds: number
  /** How many names there are. */
  readonly of: number
  /** Where the build stopped on the curve; null when nothing keeps the limits. */
  readonly best: Trial | null
}

export interface PinSearch {
  /** Sets of names that may stay in fp32 together. They may overlap. */
  readonly groups: readonly (readonly string[])[]
  /** What is known to keep the limits, if anything is. */
  readonly known?: readonly string[]
  /** Builds and measures an engine with these names in fp32. The same names cost nothing the second time. */
  measure(pinned: readonly string[]): Promise<Trial>
  outOfTime(): boolean
}

/** What a search tried, in that order, and what is best: undefined when nothing keeps the limits. */
export interface Searched {
  readonly trials: readonly Trial[]
  readonly best: Trial | undefined
}

/** Below this difference, two times are the same. */
const noise = 0.02

/**
 * Looks for the names whose place in fp32 costs the least time and keeps the limits. First each group stays in fp32
 * alone, which shows what it does to the outputs and to the time. Then groups join until the outputs are right, those
 * first that gain the most for their time, and groups that make the engine faster. In the end, groups leave again that
 * are not needed. The best that was seen is the result, also when time runs out.
 */
export async function searchPins(task: PinSearch): Promise<Searched> {
  const trials: Trial[] = []
  const attempt = async (groups: ReadonlySet<readonly string[]>, more: readonly string[] = []): Promise<Trial> => {
    const trial = await task.measure([...new Set([...groups].flat().concat(more))])
    trials.push(trial)
    return trial
  }
  const none = await attempt(new Set())
  if (task.known && task.known.length > 0) await attempt(new Set(), task.known)
  const alone: GroupTrial[] = []
  for (const group of task.groups) {
    if (task.outOfTime()) break
    alone.push({ group, trial: await attempt(new Set([group])) })
  }
  let chosen: ReadonlySet<readonly string[]> = new Set()
  let current = none
  for (const { group, trial } of byGain(alone, none)) {
    if (task.outOfTime()) break
    const isHelp = !current.isFine || isFaster(trial, none)
    if (!isHelp) continue
    const joined = new Set([...chosen, group])
    const next = joined.size === 1 ? trial : await attempt(joined)
    if (current.isFine && !better(next, current)) continue
    chosen = joined
    current = next
  }
  for (const group of current.isFine && chosen.size > 1 ? [...chosen] : []) {
    if (task.outOfTime()) break
    const fewer = new Set([...chosen].filter((other) => other !== group))
    const next = await attempt(fewer)
    if (!better(next, current)) continue
    chosen = fewer
    current = next
  }
  return { trials, best: bestOf(trials) }
}

interface GroupTrial {
  readonly group: readonly string[]
  readonly trial: Trial
}

/** Those first that bring the outputs nearest for the time that they cost; what brings nothing comes last. */
function byGain(alone: readonly GroupTrial[], none: Trial): readonly GroupTrial[] {
  const value = ({ trial }: GroupTrial): number => {
    const gained = nearness(trial) - nearness(none)
    const cost = Math.max(noise, (trial.ratio ?? Infinity) - (none.ratio ?? 0))
    return gained > 0 ? gained / cost : gained
  }
  return alone.toSorted((one, other) => value(other) - value(one))
}

// In powers of ten: half of a large distance is worth as much as half of a small one.
function nearness({ distance }: Trial): number {
  return -Math.log10(Math.max(1e-9, distance ?? 1e9))
}

function isFaster(one: Trial, other: Trial): boolean {
  return one.ratio !== null && one.ratio < (other.ratio ?? Infinity) * (1 - noise)
}

/** Whether a trial is right and no slower, or right where the other is not. */
function better(one: Trial, other: Trial): boolean {
  if (!one.isFine) return false
  if (!other.isFine || isFaster(one, other)) return true
  return !isFaster(other, one) && one.pinned.length < other.pinned.length
}

function bestOf(trials: readonly Trial[]): Trial | undefined {
  return trials.reduce<Trial | undefined>(
    (best, trial) => (trial.isFine && (best === undefined || better(trial, best)) ? trial : best),
    undefined,
  )
}
