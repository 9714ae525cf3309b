/** Most comparisons that one search makes; each lowers and runs the model. */
const budget = 48

/**
 * A smallest set of names that makes all well when it stays in fp32, by QuickXplain (Junker, AAAI 2004): k nodes of n cost about
 * k log(n / k) comparisons. When those run out, or time does, what was not looked at in detail is in the result as a whole. Empty when even
 * all names together do not help, or none is needed.
 */
export async function findBlame(
  names: readonly string[],
  isFine: (pinned: readonly string[]) => Promise<boolean>,
  outOfTime: () => boolean = () => false,
): Promise<readonly string[]> {
  let left = budget
  if (names.length === 0 || (await isFine([])) || !(await isFine(names))) return []
  return search([], false, names)

  async function search(background: readonly string[], grown: boolean, candidates: readonly string[]): Promise<readonly string[]> {
    if (grown && left-- > 0 && (await isFine(background))) return []
    if (candidates.length === 1 || left <= 0 || outOfTime()) return candidates
    const middle = Math.ceil(candidates.length / 2)
    const [first, second] = [candidates.slice(0, middle), candidates.slice(middle)]
    const blamedSecond = await search([...background, ...first], true, second)
    const blamedFirst = await search([...background, ...blamedSecond], blamedSecond.length > 0, first)
    return [...blamedFirst, ...blamedSecond]
  }
}
