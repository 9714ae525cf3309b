/** What is laid out: how many boxes there are, and the lines between them. */
export type LayoutRequest = {
  readonly count: number
  readonly lines: readonly (readonly [from: number, to: number])[]
}

/** Centres of the boxes in pixels, and the points that each line passes, from box to box. */
export type Layout = {
  readonly x: Float64Array
  readonly y: Float64Array
  readonly routes: readonly Float64Array[]
  readonly width: number
  readonly height: number
}

export const boxSize = { width: 148, height: 40 } as const
const gap = { x: 28, y: 44, bend: 16 } as const
const sweeps = 4

/** Bends that one drawing may have; beyond that, long lines are straight. */
const mostBends = 40_000

/**
 * Layers from top to bottom, as Sugiyama et al. (1981) describe: each box below all that lead to it, long lines broken
 * at each layer, layers ordered by the mean of their neighbours, positions pulled towards these. The steps take time in
 * proportion to the lines: network simplex, which libraries use, needs seconds for 2,000 boxes.
 */
export function layoutGraph({ count, lines }: LayoutRequest): Layout {
  const rank = ranksOf(count, lines)
  const bent = bendLines(count, lines, rank)
  const layers = orderLayers(bent)
  const x = placeLayers(layers, bent)
  const height = (Math.max(0, ...layers.keys()) + 1) * (boxSize.height + gap.y)
  const yOf = (index: number) => (bent.rank[index] ?? 0) * (boxSize.height + gap.y) + boxSize.height / 2
  const left = x.reduce((least, value) => Math.min(least, value), 0) - boxSize.width / 2
  const right = x.reduce((most, value) => Math.max(most, value), 0) + boxSize.width / 2
  const routes = bent.routes.map((route) => {
    const points = new Float64Array(route.length * 2)
    for (const [step, index] of route.entries()) points.set([(x[index] ?? 0) - left, yOf(index)], step * 2)
    return points
  })
  return {
    x: x.slice(0, count).map((value) => value - left),
    y: Float64Array.from({ length: count }, (_, index) => yOf(index)),
    routes,
    width: right - left,
    height,
  }
}

type Line = readonly [from: number, to: number]

// The longest path from a start; a line that closes a cycle is left out of it.
function ranksOf(count: number, lines: readonly Line[]): Int32Array {
  const next = Array.from({ length: count }, (): number[] => [])
  const waiting = new Int32Array(count)
  for (const [from, to] of lines) {
    next[from]?.push(to)
    waiting[to] = (waiting[to] ?? 0) + 1
  }
  const rank = new Int32Array(count)
  const isDone = new Uint8Array(count)
  const queue = Array.from(waiting.keys()).filter((index) => waiting[index] === 0)
  const isQueued = new Uint8Array(count)
  for (const index of queue) isQueued[index] = 1
  const add = (index: number) => {
    isQueued[index] = 1
    queue.push(index)
  }
  let unseen = 0
  for (let position = 0; position < count; position++) {
    if (position === queue.length) {
      while (isQueued[unseen] === 1) unseen++
      add(unseen)
    }
    const index = queue[position] ?? 0
    isDone[index] = 1
    for (const to of next[index] ?? []) {
      if (isDone[to] === 1) continue
      rank[to] = Math.max(rank[to] ?? 0, (rank[index] ?? 0) + 1)
      waiting[to] = (waiting[to] ?? 0) - 1
      if (waiting[to] === 0 && isQueued[to] === 0) add(to)
    }
  }
  return rank
}

type Bent = {
  /** Of boxes, then of bends. */
  readonly rank: readonly number[]
  readonly count: number
  readonly routes: readonly (readonly number[])[]
  readonly above: readonly (readonly number[])[]
  readonly below: readonly (readonly number[])[]
}

function bendLines(count: number, lines: readonly Line[], ranks: Int32Array): Bent {
  const rank = [...ranks]
  const above: number[][] = rank.map(() => [])
  const below: number[][] = rank.map(() => [])
  const routes = lines.map(([from, to]) => {
    const route = [from]
    const [top, bottom] = [ranks[from] ?? 0, ranks[to] ?? 0]
    const isBent = bottom - top > 1 && rank.length - count + bottom - top < mostBends
    for (const layer of isBent ? between(top, bottom) : []) {
      route.push(rank.push(layer) - 1)
      above.push([])
      below.push([])
    }
    route.push(to)
    if (bottom <= top) return route
    for (const [step, index] of route.slice(1).entries()) {
      above[index]?.push(route[step] ?? 0)
      below[route[step] ?? 0]?.push(index)
    }
    return route
  })
  return { rank, count, routes, above, below }
}

function between(top: number, bottom: number): readonly number[] {
  return Array.from({ length: bottom - top - 1 }, (_, step) => top + 1 + step)
}

function orderLayers({ rank, above, below }: Bent): readonly number[][] {
  const layers: number[][] = []
  for (const [index, layer] of rank.entries()) (layers[layer] ??= []).push(index)
  const place = new Float64Array(rank.length)
  const keep = (layer: readonly number[]) => layer.forEach((index, position) => (place[index] = position))
  layers.forEach(keep)
  const reorder = (layer: number[], neighbours: Bent['above']) => {
    const means = new Map(layer.map((index) => [index, mean(neighbours[index] ?? [], place, place[index] ?? 0)]))
    layer.sort((a, b) => (means.get(a) ?? 0) - (means.get(b) ?? 0))
    keep(layer)
  }
  for (let sweep = 0; sweep < sweeps; sweep++) {
    for (const layer of layers) reorder(layer, above)
    for (const layer of layers.toReversed()) reorder(layer, below)
  }
  return layers
}

function mean(neighbours: readonly number[], of: Float64Array, otherwise: number): number {
  if (neighbours.length === 0) return otherwise
  return neighbours.reduce((sum, index) => sum + (of[index] ?? 0), 0) / neighbours.length
}

function placeLayers(layers: readonly (readonly number[])[], { rank, count, above, below }: Bent): Float64Array {
  const x = new Float64Array(rank.length)
  const widthOf = (index: number) => (index < count ? boxSize.width + gap.x : gap.bend)
  for (const layer of layers) spread(layer, x, widthOf)
  for (let sweep = 0; sweep < sweeps; sweep++) {
    for (const layer of layers) pull(layer, above, { x, widthOf })
    for (const layer of layers.toReversed()) pull(layer, below, { x, widthOf })
  }
  for (const layer of layers) pull(layer, above, { x, widthOf })
  return x
}

function spread(layer: readonly number[], x: Float64Array, widthOf: (index: number) => number): void {
  const total = layer.reduce((sum, index) => sum + widthOf(index), 0)
  let left = -total / 2
  for (const index of layer) {
    x[index] = left + widthOf(index) / 2
    left += widthOf(index)
  }
}

type Placing = { readonly x: Float64Array; readonly widthOf: (index: number) => number }

// Each goes where its neighbours are; those that would overlap share the deviation, as in isotonic regression.
function pull(layer: readonly number[], neighbours: Bent['above'], { x, widthOf }: Placing): void {
  const blocks: { sum: number; size: number; members: number[] }[] = []
  const offsets = new Map<number, number>()
  let offset = 0
  for (const [position, index] of layer.entries()) {
    const before = layer[position - 1]
    if (before !== undefined) offset += (widthOf(before) + widthOf(index)) / 2
    offsets.set(index, offset)
    let block = { sum: mean(neighbours[index] ?? [], x, x[index] ?? 0) - offset, size: 1, members: [index] }
    for (let last = blocks.at(-1); last && last.sum / last.size > block.sum / block.size; last = blocks.at(-1)) {
      blocks.pop()
      for (const member of block.members) last.members.push(member)
      block = { sum: last.sum + block.sum, size: last.size + block.size, members: last.members }
    }
    blocks.push(block)
  }
  for (const { sum, size, members } of blocks)
    for (const index of members) x[index] = sum / size + (offsets.get(index) ?? 0)
}
