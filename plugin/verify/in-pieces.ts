/** At most `count` runs of neighbours, of one length but for the last, which may be shorter. None of an empty list. */
export function inPieces(names: readonly string[], count: number): (readonly string[])[] {
  const size = Math.max(1, Math.ceil(names.length / count))
  return Array.from({ length: Math.ceil(names.length / size) }, (_, index) =>
    names.slice(index * size, (index + 1) * size),
  )
}
