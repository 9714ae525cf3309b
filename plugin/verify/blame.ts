import { inPieces } from './in-pieces.ts'

/**
 * Most comparisons that one search makes; each lowers and runs the model. Large models get fewer, for a search of about
 * a minute.
 */
const comparisons = { most: 48, least: 24, milliseconds: 60_000 }

/** A shorter list is searched at once; a longer one in this many parts first. */
const partCount = 8
const fewest = 4 * partCount

/** What can be tried on a model. */
export interface Trials {
  /** Whether all is well with these names in fp32. */
  isFine(pinned: readonly string[]): Promise<boolean>
  /** How far off the outputs are with these names in fp32. One sample is enough to know where to look first. */
  errorOf(pinned: readonly string[]): Promise<number>
  outOfTime?(): boolean
}

/**
 * Neighbours among the names that are lowered, and what they do to the outputs when they alone are. A type, not an
 * interface: it is kept as JSON.
 */
export type Part = {
  readonly first: string
  readonly last: string
  readonly count: number
  /** Share in the errors of all parts; null when an error is infinite. */
  readonly share: number | null
}

export interface Blame {
  /** What makes all well when it stays in fp32. Empty when even all names together do not help, or none is needed. */
  readonly names: readonly string[]
  /**
   * Where most is lost, worst first, when no few names are to blame: more than a quarter of them would have to stay in
   * fp32. Empty otherwise.
   */
  readonly spread: readonly Part[]
}

/**
 * A smallest set of names that makes all well when it stays in fp32. First each eighth of them is lowered alone: few
 * culprits are in few of those, while rounding that adds up everywhere shows in all, and nothing is gained by looking
 * further. The parts that matter are searched by QuickXplain (Junker, AAAI 2004): k nodes of n cost about k log(n / k)
 * comparisons. When those run out, or time does, what was not looked at in detail is in the result as a whole.
 */
export async function findBlame(
  names: readonly string[],
  { isFine, errorOf, outOfTime = () => false }: Trials,
): Promise<Blame> {
  if (names.length === 0 || (await isFine([]))) return { names: [], spread: [] }
  const start = performance.now()
  if (!(await isFine(names))) return { names: [], spread: [] }
  let left = Math.max(
    comparisons.least,
    Math.min(comparisons.most, Math.floor(comparisons.milliseconds / (performance.now() - start))),
  )
  if (names.length < fewest) return { names: await search([], false, names), spread: [] }

  const bound = names.length / 4
  const parts = await ranked(inPieces(names, partCount))
  let needed = await fewestParts(parts)
  // As many culprits, each in a part of its own, or much of those parts.
  if (countOf(needed) > bound && needed.length <= partCount / 2 && !isLevel(parts, needed.length))
    needed = await fewestParts(await ranked(needed.flatMap((part) => inPieces(part.names, 2))))
  const suspects = new Set(needed.flatMap((part) => part.names))
  const inOrder = names.filter((name) => suspects.has(name))
  if (outOfTime()) return { names: inOrder, spread: [] }
  return inOrder.length > bound
    ? { names: inOrder, spread: described(parts) }
    : { names: await search([], false, inOrder), spread: [] }

  async function ranked(pieces: readonly (readonly string[])[]): Promise<readonly RankedPart[]> {
    const found: RankedPart[] = []
    for (const piece of pieces) {
      const alone = new Set(piece)
      found.push({
        names: piece,
        error: !outOfTime() && left-- > 0 ? await errorOf(names.filter((name) => !alone.has(name))) : Infinity,
      })
    }
    return found.sort((a, b) => (a.error === b.error ? 0 : b.error - a.error))
  }

  // The worst ones that together make all well; all of them do.
  async function fewestParts(sorted: readonly RankedPart[]): Promise<readonly RankedPart[]> {
    let [short, enough] = [0, sorted.length]
    while (enough - short > 1 && !outOfTime() && left-- > 0) {
      const middle = Math.ceil((short + enough) / 2)
      if (await isFine(sorted.slice(0, middle).flatMap((part) => part.names))) enough = middle
      else short = middle
    }
    return sorted.slice(0, enough)
  }

  async function search(
    background: readonly string[],
    grown: boolean,
    candidates: readonly string[],
  ): Promise<readonly string[]> {
    if (grown && left-- > 0 && (await isFine(background))) return []
    if (candidates.length === 1 || left <= 0 || outOfTime()) return candidates
    const [first = [], second = []] = inPieces(candidates, 2)
    const blamedSecond = await search([...background, ...first], true, second)
    const blamedFirst = await search([...background, ...blamedSecond], blamedSecond.length > 0, first)
    return [...blamedFirst, ...blamedSecond]
  }
}

interface RankedPart {
  readonly names: readonly string[]
  readonly error: number
}

// Those that are needed are not much worse than the next.
function isLevel(sorted: readonly RankedPart[], needed: number): boolean {
  const [last, next] = [sorted[needed - 1]?.error ?? 0, sorted[needed]?.error ?? 0]
  return Number.isFinite(last) && next > 0 && last <= 4 * next
}

function countOf(parts: readonly RankedPart[]): number {
  return parts.reduce((sum, part) => sum + part.names.length, 0)
}

function described(parts: readonly RankedPart[]): Part[] {
  const sum = parts.reduce((total, { error }) => total + error, 0)
  return parts.slice(0, 3).map(({ names, error }) => {
    return {
      first: names[0]!,
      last: names.at(-1)!,
      count: names.length,
      share: Number.isFinite(sum) && sum > 0 ? error / sum : null,
    }
  })
}
